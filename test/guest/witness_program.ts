/** Generates a large C program without undefined behaviour: what gcc makes of it, and what it prints, never varies. */

/** A small generator of numbers: the program is a function of its seed. */
function lcg(seed: number): (below: number) => number {
  let x = seed >>> 0;
  return (below) => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return Math.floor((x / 2 ** 32) * below);
  };
}

const HEADER = `#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { uint32_t a : 5, b : 11, c : 16; uint64_t wide; double real; float single; uint8_t bytes[16]; } record_t;
typedef union { double d; uint64_t u; } bits_t;
typedef uint64_t (*step_t)(uint64_t, record_t *);

static uint64_t state = 88172645463325252ull;
static uint64_t next(void) { state ^= state << 13; state ^= state >> 7; state ^= state << 17; return state; }
static uint64_t bits_of(double d) { bits_t b; b.d = d; return b.u; }
`.split('\n');

/** C source of at least this many lines. */
export function cProgram(lines: number, seed: number): string {
  const random = lcg(seed);
  const pick = <T>(list: readonly T[]): T => list[random(list.length)];
  const constant = () => `0x${(random(2 ** 32) >>> 0).toString(16)}${(random(2 ** 32) >>> 0).toString(16).padStart(8, '0')}ull`;
  const small = () => 1 + random(62);
  const variable = () => pick(['x', 'y', 'z', 'r->wide']);
  const expression = (depth: number): string => {
    if (depth === 0) return pick([variable, variable, constant])();
    const [a, b] = [expression(depth - 1), expression(depth - 1)];
    return pick([
      `(${a} + ${b})`, `(${a} - ${b})`, `(${a} * ${b})`, `(${a} ^ ${b})`, `(${a} & ~${b})`, `(${a} | ${b})`, `(${a} / (${b} | 1))`, `(${a} % (${b} | 1))`,
      `(${a} << ${small()})`, `(${a} >> ${small()})`, `((${a} >> ${small()}) | (${b} << ${small()}))`, `(${a} > ${b} ? ${a} : ${b})`, `(uint64_t)(int32_t)${a}`,
      `(uint64_t)((int64_t)${a} >> ${small()})`, `(uint64_t)(uint16_t)${a}`, `(uint64_t)__builtin_popcountll(${a})`, `(uint64_t)__builtin_bswap32((uint32_t)${a})`,
    ]);
  };
  const real = () => pick(['d', 'e', 'r->real', '(double)r->single', '(double)(int32_t)x', `${random(1000)}.${random(1000)}`]);
  const blocks: Array<() => string[]> = [
    () => [`${pick(['x', 'y', 'z'])} ${pick(['+=', '^=', '-=', '|='])} ${expression(2)};`],
    () => [`if (${expression(1)} ${pick(['<', '>', '==', '!='])} ${expression(1)}) {`, `  ${variable()} = ${expression(2)};`, '} else {', `  y += ${expression(1)};`, '}'],
    () => [`for (unsigned i = 0; i < ${2 + random(14)}; i++) {`, `  x = x * ${constant()} + i;`, `  r->bytes[i & 15] ^= (uint8_t)(x >> ${small()});`, `  if (x & ${1 << random(12)}) z ^= x;`, '}'],
    () => ['switch (x & 7) {', ...Array.from({ length: 5 }, (_, i) => `  case ${i}: z += ${expression(1)};${i % 2 ? ' break;' : ''}`), `  default: z ^= ${expression(1)};`, '}'],
    () => [`d = ${real()} * ${real()} ${pick(['+', '-'])} ${real()};`, 'e = fabs(d) < 1e100 ? d / (1.0 + fabs(e)) : 1.0;', 'r->single = (float)(e * 0.5);', 'y ^= bits_of(d) + (uint64_t)(int64_t)fmod(e, 1048576.0);'],
    () => [`{ long double l = (long double)(int64_t)x / (1.0L + (long double)(y >> ${small()}));`, '  if (l != 0.0L && fabsl(l) < 1e30L) d += (double)(l * 0.125L);', '  e = sqrt(fabs(d)) + (double)(l < 1.0L); }'],
    () => [`{ uint32_t lanes[16];`, `  for (int i = 0; i < 16; i++) lanes[i] = (uint32_t)(x >> i) * ${random(65536)}u + r->bytes[i];`, '  uint32_t sum = 0;', '  for (int i = 0; i < 16; i++) sum += lanes[i] ^ (lanes[15 - i] >> 3);', '  z += sum; }'],
    () => [`{ float f[8], g[8];`, `  for (int i = 0; i < 8; i++) { f[i] = (float)r->bytes[i] * ${1 + random(9)}.25f; g[i] = (float)r->bytes[i + 8] - f[i]; }`, '  float total = 0;', '  for (int i = 0; i < 8; i++) total += f[i] * g[i];', '  y += (uint64_t)(int64_t)total; }'],
    () => [`r->a = (uint32_t)(x & 31); r->b = (uint32_t)(y >> ${small()}) & 2047; r->c ^= (uint32_t)z & 65535;`, 'r->wide = (r->wide << 7) ^ (r->a + (uint64_t)r->b * r->c);'],
    () => [`char text[64]; snprintf(text, sizeof text, "%llx:%u:%d", (unsigned long long)x, (unsigned)r->b, (int)(y & 0xffff));`, 'for (char *p = text; *p; p++) z = z * 31 + (uint8_t)*p;'],
  ];
  const out = [...HEADER];
  let functions = 0;
  while (out.length < lines) {
    const previous = functions > 0 ? random(functions) : -1;
    out.push('', `uint64_t step_${functions}(uint64_t x, record_t *r) {`, `  uint64_t y = ${constant()}, z = next();`, '  double d = 1.5, e = (double)(x & 0xffff);');
    let declared = false;
    for (let i = 0; i < 4 + random(6); i++) {
      const block = pick(blocks)();
      if (block[0].startsWith('char text')) {
        if (declared) continue;
        declared = true;
      }
      out.push(...block.map((line) => `  ${line}`));
    }
    if (previous >= 0 && random(8) === 0) out.push(`  if ((x & 63) == ${random(64)}) z ^= step_${previous}(y >> 1, r);`);
    out.push('  return x ^ (y << 1) ^ z ^ bits_of(d + e);', '}');
    functions += 1;
  }
  out.push('', `static const step_t steps[${functions}] = {`);
  for (let i = 0; i < functions; i += 8) out.push(`  ${Array.from({ length: Math.min(8, functions - i) }, (_, j) => `step_${i + j}`).join(', ')},`);
  out.push('};', '', 'int main(void) {', '  record_t r;', '  memset(&r, 0, sizeof r);', '  uint64_t x = 1;', '  for (unsigned round = 0; round < 20; round++) {',
    `    for (unsigned i = 0; i < ${functions}; i++) x = steps[(i * 7 + round) % ${functions}](x, &r);`, '    printf("%2u %016llx %016llx\\n", round, (unsigned long long)x, (unsigned long long)bits_of(r.real));', '    r.real += (double)(x & 1023);', '  }', '  return 0;', '}', '');
  return out.join('\n');
}
