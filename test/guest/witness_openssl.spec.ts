/** Debian's openssl in the guest: every digest and every cipher over fixed input, as this computer computes them. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { differences, FULL, type Job, noise, record, runHere, runInGuest } from './witness.ts';

const LENGTHS = [0, 1, 15, 16, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1000, 4096, 65537];
/** Processor features that libcrypto is told to do without, so that its other code runs too: see OPENSSL_ia32cap(3). */
const PASSES = {
  all: '', // whatever CPUID offers
  noaes: '~0x200000200000000:~0x20000000', // AES-NI, PCLMULQDQ and SHA off: SSSE3 code
  sse2: '~0x7ffb220300000000:~0xffffffffffffffff', // nothing after SSE2
};

const SCRIPT = `
mkdir -p out/digest out/cipher out/enc out/evp
openssl version > out/version
providers="-provider legacy -provider default"
for pass in ${Object.keys(PASSES).join(' ')}; do
  case $pass in ${Object.entries(PASSES).map(([name, mask]) => `${name}) mask='${mask}' ;;`).join(' ')} esac
  for digest in $(openssl list -digest-commands); do
    OPENSSL_ia32cap=$mask openssl dgst -$digest $providers in/* > out/digest/$digest.$pass 2>&1
  done
done
echo digests done
one() {
  cipher=$1 pass=$2 mask=$3
  for length in 0 16 1000 65537; do
    at=out/cipher/$cipher.$pass.$length
    OPENSSL_ia32cap=$mask openssl enc -$cipher -e -K $key -iv $iv -provider legacy -provider default -in in/$length -out /tmp/$cipher.e 2> $at.messages
    OPENSSL_ia32cap=$mask openssl enc -$cipher -d -K $key -iv $iv -provider legacy -provider default -in /tmp/$cipher.e -out /tmp/$cipher.d 2>> $at.messages
    cmp -s in/$length /tmp/$cipher.d && echo "decrypts to the input" >> $at.messages
    sha256sum < /tmp/$cipher.e > $at
    [ $length = 1000 ] && cp /tmp/$cipher.e out/enc/$cipher.$pass
    rm -f /tmp/$cipher.e /tmp/$cipher.d
  done
}
export -f one
export key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f
export iv=f0e1d2c3b4a5968778695a4b3c2d1e0f
openssl list -cipher-commands | tr -s ' ' '\\n' | grep . > /tmp/ciphers
for cipher in $(cat /tmp/ciphers); do echo "$cipher all ''"; done > /tmp/jobs
for cipher in $(grep -E 'aes|camellia|aria|chacha|des3' /tmp/ciphers); do echo "$cipher noaes ${PASSES.noaes}"; echo "$cipher sse2 ${PASSES.sse2}"; done >> /tmp/jobs
xargs -P 2 -L 1 bash -c 'one "$@"' one < /tmp/jobs
echo ciphers done
python3 evp.py
echo evp done
`;

test.skipIf(!FULL)('openssl: every digest and cipher over fixed input is what this computer computes', { timeout: 2_400_000 }, async () => {
  const inputs: Job['inputs'] = { 'evp.py': readFileSync(new URL('witness_evp.py', import.meta.url)) };
  for (const length of LENGTHS) inputs[`in/${length}`] = noise(length, length + 1);
  const job: Job = { name: 'openssl', inputs, script: SCRIPT, vcpus: 2, deadlineMs: 2_100_000 };
  const here = await runHere(job);
  const guest = await runInGuest(job);
  const wrong = differences(guest, here);
  const count = (folder: string, pattern: RegExp) => new Set([...here.files.keys()].filter((p) => p.startsWith(folder)).map((p) => p.slice(folder.length).replace(pattern, ''))).size;
  const counted = {
    digests: count('digest/', /\.(all|noaes|sse2)$/), ciphers: count('enc/', /\.(all|noaes|sse2)$/),
    evpCiphers: count('evp/cipher.', /$/), evpDigests: count('evp/digest.', /$/), files: here.files.size,
  };
  record('openssl', { ...counted, differences: wrong, seconds: { guest: guest.seconds, here: here.seconds } }, { guest, here });
  expect(counted.digests).toBeGreaterThanOrEqual(15);
  expect(counted.ciphers).toBeGreaterThanOrEqual(60);
  expect(guest.code).toBe(0);
  expect(wrong).toEqual([]);
});
