/** `node ops/grafana/build.ts`: writes dashboards/*.json, which Grafana reads. The types are Grafana's own. */
import { writeFileSync } from 'node:fs'
import { fleetDashboard } from './fleet.ts'
import { receiverDashboard } from './receiver.ts'

/** File name → its text. */
export function dashboards(): ReadonlyMap<string, string> {
  const all = { 'fleet.json': fleetDashboard(), 'receiver.json': receiverDashboard() }
  return new Map(Object.entries(all).map(([name, board]) => [name, `${JSON.stringify(board.build(), undefined, 2)}\n`]))
}

if (import.meta.main) {
  for (const [name, text] of dashboards()) writeFileSync(new URL(`dashboards/${name}`, import.meta.url), text)
}
