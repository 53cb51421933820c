/** Reads the junit reports that python's `test` package writes. */

/** What a test case came to. */
export type Result = 'passed' | 'failed' | 'skipped';

const unescapeXml = (text: string) => text.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&amp;', '&');

/** What each test case of a junit report came to, by its name. */
export function readJunit(xml: string): Map<string, Result> {
  const results = new Map<string, Result>();
  for (const [, attributes, body] of xml.matchAll(/<testcase ([^>]*?)(?:\/>|>([^]*?)<\/testcase>)/g)) {
    const name = unescapeXml(/name="([^"]*)"/.exec(attributes)?.[1] ?? '');
    const result: Result = /<(failure|error)\b/.test(body ?? '') ? 'failed' : /<skipped\b/.test(body ?? '') || /result="skip/.test(attributes) ? 'skipped' : 'passed';
    results.set(name, results.get(name) === 'failed' ? 'failed' : result); // subtests share their test's name
  }
  return results;
}
