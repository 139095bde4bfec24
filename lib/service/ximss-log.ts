import type { Log, LogLevel } from '../base/log.js'

export type XimssLogScale = 'crashes' | 'failures' | 'major' | 'problems' | 'lowlevel' | 'all'

/** The levels that each step of the XIMSS scale lets through; `log.level` still applies to what is left. */
const LEVELS: Readonly<Record<XimssLogScale, readonly LogLevel[]>> = {
  crashes: ['error'],
  failures: ['error', 'warn'],
  major: ['error', 'warn', 'info'],
  problems: ['error', 'warn', 'info'],
  lowlevel: ['error', 'warn', 'info', 'debug'],
  all: ['error', 'warn', 'info', 'debug'],
}

/** A log for XIMSS connections that follows `ximss.log`, also when it changes. */
export function ximssLog(log: Log, scale: () => XimssLogScale): Log {
  const at =
    (level: LogLevel): Log[LogLevel] =>
    (event, fields) => {
      if (LEVELS[scale()].includes(level)) log[level](event, fields)
    }
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    child: fields => ximssLog(log.child(fields), scale),
  }
}
