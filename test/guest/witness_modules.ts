/** Which of python's own test modules run in the guest, in sets small enough to be run again alone. */

export interface ModuleSet {
  name: string;
  modules: string[];
  /** A module that takes longer is ended, in the guest and here. */
  secondsEach: number;
  /** The guest is switched off after this. */
  minutes: number;
}

/** A group's modules in sets of their own, separated by '|': each set runs for a few minutes with the JIT on. */
const group = (name: string, minutes: number, secondsEach: number, modules: string): ModuleSet[] => modules.split('|').map((part, n) => ({
  name: `${name}-${n + 1}`, minutes, secondsEach, modules: part.trim().split(/\s+/).map((module) => `test_${module}`),
}));

/** None needs a network, a display or another operating system. */
export const MODULE_SETS: ModuleSet[] = [
  ...group('numbers', 40, 1200, `
    cmath float int long complex struct strtod fractions int_literal bool pow numeric_tower array hash index operator
    | format fstring colorsys binop unary compare richcmp | random | statistics | decimal | math`),
  ...group('digests', 30, 1200, 'hmac gzip binascii base64 audioop uuid secrets crypt quopri uu | hashlib | zlib bz2 | lzma'),
  ...group('containers', 40, 1200, `
    dict list tuple sort heapq bisect range slice enumerate iter dictviews dictcomps listcomps setcomps genexps unpack unpack_ex contains iterlen
    | collections ordered_dict defaultdict userdict userlist userstring weakset copy marshal reprlib pprint graphlib
    | itertools functools bytes | memoryview memoryio weakref | set deque | pickle`),
  ...group('text', 40, 1200, `
    unicode_identifiers unicode_file string string_literals stringprep textwrap csv shlex html locale utf8source source_encoding
    configparser urlparse fnmatch optparse calendar strftime strptime
    | unicode ucn codecs charmapcodec codeccallbacks | re json difflib ipaddress | htmlparser pyexpat xml_etree sax minidom | unicodedata`),
  ...group('language', 40, 1200, `
    generators exceptions exception_variations exception_group grammar scope descr class super types enum contextlib with
    yield_from patma named_expressions builtin call extcall keywordonlyarg positional_only_arg property decorators metaclass global raise
    baseexception except_star augassign finalization frame funcattrs opcodes longexp abc isinstance
    | dataclasses coroutines asyncgen dis ast gc | symtable syntax compile code peepholer sys_settrace inspect`),
  ...group('system', 60, 1200, `
    mmap io threading_local thread select poll epoll selectors fcntl pty openpty time sched tempfile shutil glob pathlib fileio
    file bufio univnewlines pipes timeit resource context | threading threadsignals signal subprocess fork1 wait3 wait4 popen eintr file_eintr
    | os posix queue largefile ctypes faulthandler atexit shelve dbm_dumb zipfile tarfile`),
  ...group('library', 40, 1200, `
    datetime zoneinfo | argparse getopt cmd code_module codeop copyreg filecmp fileinput linecache gettext mimetypes netrc plistlib picklebuffer pickletools
    | email http_cookies | logging warnings traceback tracemalloc trace profile cprofile pstats bdb sys_setprofile
    | doctest unittest pkg pkgutil pyclbr py_compile runpy modulefinder module zipimport zipapp tabnanny rlcompleter
    | typing genericalias genericclass type_annotations type_comments typechecks type_cache structseq subclassinit dynamic dynamicclassattribute
    dict_version exception_hierarchy errno keyword eof future future3 future4 future5 generator_stop print opcache stat posixpath genericpath
    | sys unparse tokenize | aifc wave sunau sndhdr imghdr xdrlib pulldom xml_dom_minicompat xml_etree_c contextlib_async abstract_numbers
    | multibytecodec codecencodings_cn codecencodings_hk codecencodings_iso2022 codecencodings_jp codecencodings_kr codecencodings_tw buffer`),
];

/** Tests that fail in the guest alone, each with its reason; docs/witness.md repeats them. */
export const GUEST_ONLY: Array<{ pattern: RegExp; why: string }> = [
  { pattern: /^test\.test_shutil\.TestCopy\.test_copy(2_xattr|xattr|xattr_symlinks): skipped in the guest, passed here$/, why: 'the tmpfs of the guest\'s Linux 6.1 has no extended attributes of users; since Linux 6.6 it has' },
  { pattern: /^test\.test_os\.ExtendedAttributeTests\.test_(fds|lpath|simple): skipped in the guest, passed here$/, why: 'the same' },
  { pattern: /^test\.test_largefile\.Test(Copyfile|SocketSendfile)\.test_it: skipped in the guest, passed here$/, why: 'they want 6.25 GB of free space, which the guest\'s tmpfs does not have' },
];
