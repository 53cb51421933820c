/** Debian's openssl in the guest: every digest and every cipher over fixed input, as this computer computes them. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { differences, FULL, type Job, noise, record, runHere, runInGuest } from './witness.ts';

const LENGTHS = [0, 1, 15, 16, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1000, 4096, 9001, 65537];
/** Processor features that libcrypto is told to do without, so that its other code runs too: see OPENSSL_ia32cap(3). */
const PASSES = {
  all: '', // whatever CPUID offers
  noaes: '~0x200000200000000:~0x20000000', // AES-NI, PCLMULQDQ and SHA off: SSSE3 code
  sse2: '~0x7ffb220300000000:~0xffffffffffffffff', // nothing after SSE2
};

const SCRIPT = `
mkdir -p out/digest out/cipher
openssl version > out/version
export providers="-provider legacy -provider default"
mask_of() { case $1 in ${Object.entries(PASSES).map(([name, mask]) => `${name}) mask='${mask}' ;;`).join(' ')} esac; }
for pass in ${Object.keys(PASSES).join(' ')}; do
  mask_of $pass
  for digest in $(openssl list -digest-commands); do
    OPENSSL_ia32cap=$mask openssl dgst -$digest $providers in/* > out/digest/$digest.$pass 2>&1
  done
done
echo digests done
one() { # every length there and back
  for length in 0 16 9001; do
    at=out/cipher/$1.$length
    openssl enc -$1 -e -K $key -iv $iv $providers -in in/$length -out $at 2> $at.messages
    openssl enc -$1 -d -K $key -iv $iv $providers -in $at 2>> $at.messages | cmp -s - in/$length && echo "decrypts to the input" >> $at.messages
  done
}
export -f one
export key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f
export iv=f0e1d2c3b4a5968778695a4b3c2d1e0f
for pass in ${Object.keys(PASSES).join(' ')}; do
  mask_of $pass
  OPENSSL_ia32cap=$mask python3 evp.py out/evp.$pass || exit 1
  echo evp $pass done
done
openssl list -cipher-commands | tr -s ' ' '\\n' | grep . | xargs -P 2 -L 1 bash -c 'one "$@"' one
echo ciphers done
`;

test.skipIf(!FULL)('openssl: every digest and cipher over fixed input is what this computer computes', { timeout: 2_400_000 }, async () => {
  const inputs: Job['inputs'] = { 'evp.py': readFileSync(new URL('witness_evp.py', import.meta.url)) };
  for (const length of LENGTHS) inputs[`in/${length}`] = noise(length, length + 1);
  const job: Job = { name: 'openssl', inputs, script: SCRIPT, vcpus: 2, deadlineMs: 2_100_000 };
  const here = await runHere(job);
  const guest = await runInGuest(job);
  const wrong = differences(guest, here);
  const count = (pattern: RegExp) => new Set([...guest.files.keys()].flatMap((path) => pattern.exec(path)?.[1] ?? [])).size;
  const counted = {
    digests: count(/^digest\/(.*)\.\w+$/), ciphers: count(/^cipher\/(.*?)\.\d/), evpDigests: count(/^evp\.\w+\/digest\.(.*)/), evpCiphers: count(/^evp\.\w+\/cipher\.(.*)/),
    files: guest.files.size,
  };
  record('openssl', { ...counted, differences: wrong, seconds: { guest: guest.seconds, here: here.seconds } }, { guest, here });
  expect(counted.digests).toBeGreaterThanOrEqual(15);
  expect(counted.ciphers).toBeGreaterThanOrEqual(40);
  expect(counted.evpDigests).toBeGreaterThanOrEqual(24);
  expect(counted.evpCiphers).toBeGreaterThanOrEqual(140);
  expect(guest.code).toBe(0);
  expect(wrong).toEqual([]);
});
