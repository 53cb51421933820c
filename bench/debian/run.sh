# Programs of the distribution over fixed work, one line each: BENCH name seconds.
set -e
# libcrypto chooses its code by CPUID, which differs from machine to machine: SSE2 is what all of them have, OPENSSL_ia32cap(3).
export OPENSSL_ia32cap='~0x7ffb220300000000:~0xffffffffffffffff'
measure() { # name command...
  local name=$1 start=${EPOCHREALTIME/./} spent
  shift
  "$@"
  spent=$((${EPOCHREALTIME/./} - start))
  printf 'BENCH %s %d.%06d\n' $name $((spent / 1000000)) $((spent % 1000000))
}
pack() { gzip -c /tmp/text > /tmp/text.gz; }
unpack() { gzip -dc /tmp/text.gz > /tmp/text.again; }
digest() { openssl dgst -sha256 /tmp/bytes > /dev/null; }
cipher() { openssl enc -aes-128-cbc -K 000102030405060708090a0b0c0d0e0f -iv 0f0e0d0c0b0a09080706050403020100 -in /tmp/bytes -out /tmp/ciphered; }
python() { python3 -I $1.py > /dev/null; }

cat /usr/lib/python3.11/*.py > /tmp/text
head -c 33554432 /dev/zero > /tmp/bytes
# Programs and libraries come into the page cache: what is measured is not the disk.
echo warm | gzip -c | gzip -dc > /dev/null
openssl version > /dev/null
python3 -I -c 'import json, math, re'

measure gzip_pack pack
cmp <(gzip -dc /tmp/text.gz) /tmp/text
measure gzip_unpack unpack
measure openssl_sha256 digest
measure openssl_aes128cbc cipher
openssl speed -elapsed -mr -seconds 2 rsa2048 2> /dev/null
for program in loop calls numbers text; do measure python_$program python $program; done
