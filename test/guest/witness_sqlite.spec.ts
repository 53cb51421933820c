/** Debian's sqlite3 in the guest: a database of 100,000 rows, its queries, and its very bytes, as on this computer. */
import { expect, test } from 'vitest';
import { differences, FULL, type Job, record, runHere, runInGuest } from './witness.ts';

const ROWS = 100_000;
const FILL = `
.bail on
PRAGMA page_size = 4096;
PRAGMA journal_mode = WAL;
CREATE TABLE item (id INTEGER PRIMARY KEY, grp INTEGER, name TEXT, price REAL, data BLOB);
WITH RECURSIVE n(i, x) AS (SELECT 1, 12345 UNION ALL SELECT i + 1, (x * 1103515245 + 12345) % 2147483648 FROM n WHERE i < ${ROWS})
  INSERT INTO item SELECT i, x % 97, printf('%08x-%s', x, char(65 + x % 26, 97 + x % 25)), x / 1000.0 - 1e6, zeroblob(x % 40) FROM n;
CREATE INDEX item_by_group ON item(grp, price);
CREATE INDEX item_by_name ON item(name);
CREATE TABLE total AS SELECT grp, count(*) AS n, sum(price) AS s, avg(price) AS a, min(price) AS lo, max(price) AS hi, total(length(data)) AS bytes FROM item GROUP BY grp;
UPDATE item SET price = price * 1.0625 WHERE grp IN (3, 5, 7);
DELETE FROM item WHERE id % 1000 = 17;
PRAGMA wal_checkpoint(TRUNCATE);
`;
const ASK = `
.mode list
SELECT count(*), sum(id), avg(price), min(name), max(name) FROM item;
SELECT * FROM total ORDER BY grp;
SELECT grp, printf('%.17g', sum(price * price)), printf('%.12e', avg(price)) FROM item GROUP BY grp ORDER BY 1;
SELECT id, name, price, row_number() OVER (PARTITION BY grp ORDER BY price DESC), round(price - lag(price) OVER (ORDER BY id), 6) FROM item WHERE id % 251 = 0 ORDER BY id;
SELECT a.id, b.id FROM item a JOIN item b ON b.grp = a.grp AND b.price > a.price AND b.price < a.price + 10 WHERE a.id < 2000 ORDER BY 1, 2 LIMIT 500;
SELECT printf('%.15g %.15g %.15g %.15g', sqrt(id), ln(id), sin(id), exp(id / 10000.0)) FROM item WHERE id % 487 = 0;
SELECT json_group_array(json_object('id', id, 'price', price)) FROM item WHERE id < 50;
SELECT name FROM item WHERE name LIKE '%ff%b' AND name GLOB '*-[A-M]*' ORDER BY name LIMIT 200;
EXPLAIN QUERY PLAN SELECT * FROM item WHERE grp = 5 AND price > 100 ORDER BY price;
PRAGMA integrity_check;
PRAGMA foreign_key_check;
`;
const SCRIPT = `
sqlite3 /tmp/shop.db < fill.sql > out/fill || exit 1
echo filled
sqlite3 /tmp/shop.db < ask.sql > out/ask || exit 1
echo asked
sqlite3 /tmp/shop.db .dump | sha256sum > out/dump
sqlite3 /tmp/shop.db 'VACUUM INTO "/tmp/compact.db"' && sqlite3 /tmp/compact.db 'PRAGMA integrity_check' > out/compact
cp /tmp/shop.db out/shop.db
`;

test.skipIf(!FULL)('sqlite3: fill, index, aggregate, window, join, vacuum; the database file is the same', { timeout: 1_800_000 }, async () => {
  const job: Job = { name: 'sqlite', inputs: { 'fill.sql': FILL, 'ask.sql': ASK }, script: SCRIPT, vcpus: 1, deadlineMs: 1_500_000 };
  const here = await runHere(job);
  expect(here.log).not.toMatch(/error/i);
  expect(here.code).toBe(0);
  const guest = await runInGuest(job);
  const wrong = differences(guest, here);
  record('sqlite', { rows: ROWS, answers: here.files.get('ask')!.toString('utf8').split('\n').length - 1, databaseBytes: here.files.get('shop.db')!.length, differences: wrong, seconds: { guest: guest.seconds, here: here.seconds } }, { guest, here });
  expect(guest.code).toBe(0);
  expect(guest.files.get('ask')!.toString('utf8')).toMatch(/^ok$/m);
  expect(wrong).toEqual([]);
});
