// Loaded first by each measured process: leaves what it has used where the bench looks for it.
const { writeFileSync } = require('node:fs')

process.once('exit', () => {
  const { maxRSS, userCPUTime, systemCPUTime } = process.resourceUsage()
  writeFileSync(
    process.env.BENCH_USAGE,
    JSON.stringify({ peakMiB: maxRSS / 1024, cpuMs: (userCPUTime + systemCPUTime) / 1000 }),
  )
})
