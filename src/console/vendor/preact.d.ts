// Served from the package under this name: see http/routes/console.ts.
export * from 'preact'
