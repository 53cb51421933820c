/**
 * getopt_long: short options, long options with abbreviation, permutation, and its messages.
 *
 * @spec  POSIX utility syntax guidelines and the GNU C library's getopt_long
 * @cover #Y no and required arguments, `--`, `--name=value`, unique abbreviations   #N optional arguments, `-W name`
 */

export interface LongOption { readonly name: string; readonly argument: boolean; /** what an occurrence is reported as */ readonly key: string }
export type ParsedOption = { key: string; value: string };
export type GetoptResult = { options: ParsedOption[]; operands: string[] } | { error: string };

/** `shorts`: letters, each followed by ':' when it takes an argument. Short options report their letter as key. */
export function getoptLong(program: string, argv: readonly string[], shorts: string, longs: readonly LongOption[]): GetoptResult {
  const options: ParsedOption[] = [];
  const operands: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i];
    if (word === '--') {
      operands.push(...argv.slice(i + 1));
      break;
    }
    if (word === '-' || !word.startsWith('-')) {
      operands.push(word);
    } else if (word.startsWith('--')) {
      const equals = word.indexOf('=');
      const typed = equals < 0 ? word.slice(2) : word.slice(2, equals);
      const exact = longs.find((option) => option.name === typed);
      const candidates = exact ? [exact] : longs.filter((option) => option.name.startsWith(typed));
      if (candidates.length === 0) return { error: `${program}: unrecognized option '--${typed}'` };
      if (candidates.length > 1) return { error: `${program}: option '--${typed}' is ambiguous; possibilities: ${candidates.map((option) => `'--${option.name}'`).join(' ')}` };
      const option = candidates[0];
      if (!option.argument && equals >= 0) return { error: `${program}: option '--${option.name}' doesn't allow an argument` };
      if (option.argument && equals < 0 && i + 1 >= argv.length) return { error: `${program}: option '--${option.name}' requires an argument` };
      options.push({ key: option.key, value: !option.argument ? '' : equals >= 0 ? word.slice(equals + 1) : argv[++i] });
    } else {
      for (let at = 1; at < word.length; at++) {
        const letter = word[at];
        const found = letter === ':' ? -1 : shorts.indexOf(letter);
        if (found < 0) return { error: `${program}: invalid option -- '${letter}'` };
        if (shorts[found + 1] !== ':') {
          options.push({ key: letter, value: '' });
          continue;
        }
        if (at + 1 < word.length) options.push({ key: letter, value: word.slice(at + 1) });
        else if (i + 1 < argv.length) options.push({ key: letter, value: argv[++i] });
        else return { error: `${program}: option requires an argument -- '${letter}'` };
        break;
      }
    }
  }
  return { options, operands };
}
