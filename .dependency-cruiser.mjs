/** The import table of docs/architecture.md: layers import downwards only. */
const layer = (name, allowed) => ({
  name: `${name.replaceAll('/', '-')}-imports-downwards`,
  severity: 'error',
  from: { path: `^${name}/`, pathNot: '\\.spec\\.tsx?$' },
  to: { path: '^(engine|main|preload|renderer)/', pathNot: [`^${name}/`, ...allowed.map((a) => `^${a}`)] },
});
const LIB = 'engine/lib/';
const CONTRACT = 'engine/contract/';

export default {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } } },
    { name: 'only-shells-import-electron', severity: 'error', from: { pathNot: '^(main|preload)/' }, to: { path: '^electron$|node_modules/electron/' } },
    { name: 'core-lib-are-host-neutral', severity: 'error', from: { path: '^engine/(lib|contract|devicemodel)/', pathNot: '\\.spec\\.tsx?$' }, to: { dependencyTypes: ['core'] } },
    layer('engine/contract', []),
    layer('engine/lib', []),
    layer('engine/core', [LIB]),
    layer('engine/platform', ['engine/core/', LIB]),
    layer('engine/hypervisor', ['engine/platform/', 'engine/core/', LIB]),
    layer('engine/sos', ['engine/hypervisor/', 'engine/platform/', 'engine/core/', LIB]),
    layer('engine/devicemodel', ['engine/sos/vhm_if\\.ts$', LIB, CONTRACT]),
    layer('engine/host', ['engine/devicemodel/backends_if\\.ts$', LIB]),
    layer('engine/machine', ['engine/']),
    layer('engine/cli', ['engine/']),
    layer('main', ['engine/index\\.ts$', CONTRACT]),
    layer('preload', [CONTRACT]),
    layer('renderer', [CONTRACT]),
  ],
  options: {
    exclude: { path: '^engine/core/assembly/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.tsx', '.js', '.mjs'] },
  },
};
