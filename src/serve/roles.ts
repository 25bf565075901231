/** What a process does; all of it, unless told otherwise. */
export const ROLES = ['public', 'internal', 'workers'] as const
export type Role = (typeof ROLES)[number]
