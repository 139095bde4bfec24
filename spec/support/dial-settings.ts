import type { DialSettings } from '../../lib/dial/dial-target.js'

/** The dialer's settings for specs that run without a service; the product's defaults stand in its table of options. */
export const defaultDialSettings: DialSettings = {
  readTimeoutMs: 10_000,
  resolutionTimeoutMs: 20_000,
  attemptDelayMs: 250,
  resolutionDelayMs: 50,
  maxWorkers: 8,
  privateTargets: false,
  sourceAddresses: [],
}
