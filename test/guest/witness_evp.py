# Runs every cipher and digest of libcrypto's providers over fixed input through EVP, into the folder that $1 names: one line of hex for each length.
import ctypes as c
import os
import subprocess
import sys

crypto = c.CDLL('libcrypto.so.3')
for name in ('EVP_CIPHER_fetch', 'EVP_CIPHER_CTX_new', 'EVP_MD_fetch', 'EVP_MD_CTX_new', 'OSSL_PROVIDER_load'):
    getattr(crypto, name).restype = c.c_void_p
for provider in (b'legacy', b'default'):
    crypto.OSSL_PROVIDER_load(None, provider)
TAG_LENGTH, GET_TAG, SET_TAG = 16, 0x10, 0x11
folder = sys.argv[1]
os.makedirs(folder)
data = open('in/65537', 'rb').read()


def names(what):
    text = subprocess.run(['openssl', 'list', what, '-provider', 'legacy', '-provider', 'default'], capture_output=True, text=True).stdout
    found = set()
    for line in text.splitlines():
        if '@' in line:
            known = (word.strip(' {}') for word in line.split('@')[0].split(','))
            found.add(next(name for name in known if name and '.' not in name))  # not the object identifier
    return sorted(found)


def cipher(name, length):
    algorithm = crypto.EVP_CIPHER_fetch(None, name.encode(), None)
    if not algorithm:
        return 'not fetched'
    if name == 'DES3-WRAP':
        return 'draws its own vector'
    if 'HMAC' in name:
        return 'only for TLS records'
    algorithm = c.c_void_p(algorithm)
    key = bytes((7 * i + 3) & 255 for i in range(crypto.EVP_CIPHER_get_key_length(algorithm)))
    iv = bytes((5 * i + 1) & 255 for i in range(max(16, crypto.EVP_CIPHER_get_iv_length(algorithm))))
    mode = crypto.EVP_CIPHER_get_mode(algorithm)
    aead = bool(crypto.EVP_CIPHER_get_flags(algorithm) & 0x200000)
    context = c.c_void_p(crypto.EVP_CIPHER_CTX_new())
    out, n = c.create_string_buffer(length + 1024), c.c_int()
    steps = [crypto.EVP_EncryptInit_ex(context, algorithm, None, None, None)]
    if mode == 7:  # CCM wants the lengths first
        steps.append(crypto.EVP_CIPHER_CTX_ctrl(context, SET_TAG, TAG_LENGTH, None))
    steps.append(crypto.EVP_EncryptInit_ex(context, None, None, key, iv))
    if mode == 7:
        steps.append(crypto.EVP_EncryptUpdate(context, None, c.byref(n), None, length))
    if aead and 'CBC' not in name.upper():
        steps.append(crypto.EVP_EncryptUpdate(context, None, c.byref(n), b'associated data', 15))
    steps.append(crypto.EVP_EncryptUpdate(context, out, c.byref(n), data, length))
    done = max(n.value, 0)
    steps.append(crypto.EVP_EncryptFinal_ex(context, c.byref(out, done), c.byref(n)))
    done += max(n.value, 0)
    tag = c.create_string_buffer(TAG_LENGTH)
    if aead:
        steps.append(crypto.EVP_CIPHER_CTX_ctrl(context, GET_TAG, TAG_LENGTH, tag))
    return f'{"".join(map(str, steps))} {out.raw[:done].hex()} {tag.raw.hex()}'


def digest(name, length):
    algorithm = crypto.EVP_MD_fetch(None, name.encode(), None)
    if not algorithm:
        return 'not fetched'
    algorithm = c.c_void_p(algorithm)
    context = c.c_void_p(crypto.EVP_MD_CTX_new())
    out, n = c.create_string_buffer(128), c.c_uint()
    steps = [crypto.EVP_DigestInit_ex(context, algorithm, None), crypto.EVP_DigestUpdate(context, data, c.c_size_t(length)), crypto.EVP_DigestFinal_ex(context, out, c.byref(n))]
    return f'{"".join(map(str, steps))} {out.raw[:n.value].hex()}'


for what, list_name, run in (('cipher', '-cipher-algorithms', cipher), ('digest', '-digest-algorithms', digest)):
    for name in names(list_name):
        with open(f'{folder}/{what}.{name.replace("/", "_")}', 'w') as result:
            for length in (0, 1, 16, 64, 255, 1024, 4112):
                result.write(f'{length} {run(name, length)}\n')
