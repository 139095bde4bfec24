/** What the signals of a foreground service mean. */
export interface SignalActions {
  /** SIGTERM or SIGINT, the first time. */
  readonly stop: () => void
  /** SIGHUP. Without it the signal ends the program as usual. */
  readonly reload?: () => void
}

/** Obeys SIGTERM, SIGINT and SIGHUP until the result is called. A second request to stop ends the process at once with status 1. */
export function onSignals({ stop, reload }: SignalActions): () => void {
  let isStopping = false
  const end = (): void => {
    if (isStopping) process.exit(1)
    isStopping = true
    stop()
  }
  const again = (): void => reload?.()
  process.on('SIGTERM', end).on('SIGINT', end)
  if (reload) process.on('SIGHUP', again)
  return () => {
    process.off('SIGTERM', end).off('SIGINT', end).off('SIGHUP', again)
  }
}
