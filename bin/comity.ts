#!/usr/bin/env node
import { main } from '../lib/service/cli/main.js'
import { VERSION } from '../lib/service/version.js'

// Whoever reads our output may stop reading; that ends no service.
for (const output of [process.stdout, process.stderr]) output.on('error', () => {})

process.exitCode = await main(
  process.argv.slice(2),
  { input: process.stdin, output: process.stdout, errors: process.stderr, env: process.env },
  {
    version: VERSION,
    loadService: async () => (await import('../lib/service/service.js')).createService,
    loadDemo: async () => (await import('../lib/service/demo/demo.js')).runDemo,
  },
)
