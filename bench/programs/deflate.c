// A compressor in the manner of deflate: matches found by hash chains, literals and lengths in one canonical Huffman code and
// distances in another, a block at a time. Prints the time to pack and to unpack made-up text, and checks that it comes back.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }
static uint32_t seed = 362436069u;
static uint32_t next(void) { seed ^= seed << 13; seed ^= seed >> 17; seed ^= seed << 5; return seed; }

enum {
  TEXT = 3 << 20, WINDOW = 1 << 15, HASHES = 1 << 15, CHAIN = 32, SHORTEST = 4, LONGEST = 259,
  TOKENS = 1 << 14, // a block
  END = 256, LENGTH_0 = 257, SYMBOLS = LENGTH_0 + LONGEST - SHORTEST + 1, DISTANCES = 15, // a distance's class is its highest bit
  MOST_BITS = 15,
};

// Words drawn unevenly from a made-up vocabulary, as text has them.
static void write_text(uint8_t *text) {
  static char vocabulary[4096][12];
  for (int i = 0; i < 4096; i++) {
    const int letters = 2 + next() % 9;
    for (int j = 0; j < letters; j++) vocabulary[i][j] = "etaoinshrdlucmfwypvbgk"[(next() % 22) * (next() % 22) / 22];
  }
  for (size_t at = 0; at < TEXT;) {
    const char *word = vocabulary[(next() & 4095) * (next() & 4095) >> 12];
    while (*word && at < TEXT) text[at++] = (uint8_t)*word++;
    if (at < TEXT) text[at++] = next() % 12 ? ' ' : '\n';
  }
}

typedef struct { uint8_t bits[SYMBOLS]; uint16_t code[SYMBOLS]; } huffman_t;

static uint32_t weight[2 * SYMBOLS];
static int lighter(int a, int b) { return weight[a] < weight[b] || (weight[a] == weight[b] && a < b); }

static void sift(int *heap, int count, int at) {
  for (int child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && lighter(heap[child + 1], heap[child])) child++;
    if (!lighter(heap[child], heap[at])) return;
    const int swap = heap[at]; heap[at] = heap[child]; heap[child] = swap;
  }
}

// Canonical codes from lengths, shorter codes first, equal ones in the order of their symbols.
static void number_codes(huffman_t *h, int symbols) {
  uint32_t code = 0;
  for (int bits = 1; bits <= MOST_BITS; bits++, code <<= 1) {
    for (int i = 0; i < symbols; i++) if (h->bits[i] == bits) h->code[i] = (uint16_t)code++;
  }
}

// Lengths from how often each symbol came. Where a code would be too long the counts are flattened, and it starts again.
static void make_codes(huffman_t *h, uint32_t *count, int symbols) {
  static int heap[SYMBOLS], parent[2 * SYMBOLS];
  for (;;) {
    int used = 0, made = symbols, longest = 0;
    for (int i = 0; i < symbols; i++) { weight[i] = count[i]; if (count[i]) heap[used++] = i; }
    for (int i = used / 2 - 1; i >= 0; i--) sift(heap, used, i);
    memset(h->bits, 0, sizeof h->bits);
    if (used == 1) h->bits[heap[0]] = 1;
    while (used > 1) {
      const int a = heap[0];
      heap[0] = heap[--used];
      sift(heap, used, 0);
      const int b = heap[0];
      weight[made] = weight[a] + weight[b];
      parent[a] = parent[b] = made;
      heap[0] = made++;
      sift(heap, used, 0);
    }
    for (int i = 0; i < symbols && made > symbols; i++) {
      int depth = 0;
      if (count[i]) for (int at = i; at != made - 1; at = parent[at]) depth++;
      if (depth > longest) longest = depth;
      h->bits[i] = (uint8_t)depth;
    }
    if (longest <= MOST_BITS) break;
    for (int i = 0; i < symbols; i++) if (count[i]) count[i] = count[i] / 4 + 1;
  }
  number_codes(h, symbols);
}

typedef struct { uint8_t *at; uint64_t held; int bits; } stream_t;

static void put(stream_t *s, uint32_t value, int bits) {
  s->held = s->held << bits | value;
  for (s->bits += bits; s->bits >= 8; s->bits -= 8) *s->at++ = (uint8_t)(s->held >> (s->bits - 8));
}

static uint32_t get(stream_t *s, int bits) {
  for (; s->bits < bits; s->bits += 8) s->held = s->held << 8 | *s->at++;
  s->bits -= bits;
  return (uint32_t)(s->held >> s->bits) & ((1u << bits) - 1);
}

typedef struct { uint16_t symbol, distance; } token_t;
static token_t tokens[TOKENS];
static int32_t heads[HASHES], chain[WINDOW];

static int log2_of(unsigned value) { return 31 - __builtin_clz(value); }

static void write_block(stream_t *out, int count) {
  static uint32_t symbols[SYMBOLS], distances[DISTANCES];
  static huffman_t main_code, distance_code;
  memset(symbols, 0, sizeof symbols);
  memset(distances, 0, sizeof distances);
  for (int i = 0; i < count; i++) { symbols[tokens[i].symbol]++; if (tokens[i].distance) distances[log2_of(tokens[i].distance)]++; }
  make_codes(&main_code, symbols, SYMBOLS);
  make_codes(&distance_code, distances, DISTANCES);
  for (int i = 0; i < SYMBOLS; i++) put(out, main_code.bits[i], 4);
  for (int i = 0; i < DISTANCES; i++) put(out, distance_code.bits[i], 4);
  for (int i = 0; i < count; i++) {
    const token_t t = tokens[i];
    put(out, main_code.code[t.symbol], main_code.bits[t.symbol]);
    if (!t.distance) continue;
    const int class = log2_of(t.distance);
    put(out, distance_code.code[class], distance_code.bits[class]);
    put(out, t.distance & ((1u << class) - 1), class);
  }
}

static uint32_t hash(const uint8_t *at) { uint32_t word; memcpy(&word, at, 4); return word * 2654435761u >> 17; }

static size_t pack(const uint8_t *text, uint8_t *packed) {
  stream_t out = {packed, 0, 0};
  int count = 0;
  memset(heads, 0xff, sizeof heads);
  for (int at = 0; at < TEXT;) {
    int best = 0, distance = 0;
    const int room = TEXT - at < LONGEST ? TEXT - at : LONGEST;
    if (room >= SHORTEST) {
      int tries = CHAIN;
      for (int seen = heads[hash(text + at)]; seen >= 0 && at - seen < WINDOW && tries--; seen = chain[seen % WINDOW]) {
        if (text[seen + best] != text[at + best]) continue;
        int same = 0;
        while (same < room && text[seen + same] == text[at + same]) same++;
        if (same > best) { best = same; distance = at - seen; if (best == room) break; }
      }
    }
    const int step = best >= SHORTEST ? best : 1;
    tokens[count++] = step > 1 ? (token_t){(uint16_t)(LENGTH_0 + best - SHORTEST), (uint16_t)distance} : (token_t){text[at], 0};
    for (int end = at + step; at < end; at++) {
      if (at + SHORTEST > TEXT) continue;
      const uint32_t slot = hash(text + at);
      chain[at % WINDOW] = heads[slot];
      heads[slot] = at;
    }
    if (count < TOKENS - 1 && at < TEXT) continue;
    tokens[count++] = (token_t){END, 0};
    write_block(&out, count);
    count = 0;
  }
  put(&out, 0, 7); // what is held goes out
  return (size_t)(out.at - packed);
}

// Reads a symbol a bit at a time: first code and first place of each length are enough for a canonical code.
typedef struct { uint16_t first[MOST_BITS + 1], counts[MOST_BITS + 1], start[MOST_BITS + 1], symbols[SYMBOLS]; } reader_t;

static void make_reader(reader_t *r, const huffman_t *h, int symbols) {
  int place = 0;
  uint32_t code = 0;
  for (int bits = 1; bits <= MOST_BITS; bits++, code <<= 1) {
    r->first[bits] = (uint16_t)code;
    r->start[bits] = (uint16_t)place;
    for (int i = 0; i < symbols; i++) if (h->bits[i] == bits) { r->symbols[place++] = (uint16_t)i; code++; }
    r->counts[bits] = (uint16_t)(place - r->start[bits]);
  }
}

static int read_symbol(stream_t *in, const reader_t *r) {
  uint32_t code = 0;
  for (int bits = 1; bits <= MOST_BITS; bits++) {
    code = code << 1 | get(in, 1);
    if (code - r->first[bits] < r->counts[bits]) return r->symbols[r->start[bits] + code - r->first[bits]];
  }
  return -1;
}

static size_t unpack(uint8_t *packed, uint8_t *text) {
  static huffman_t main_code, distance_code;
  static reader_t main_reader, distance_reader;
  stream_t in = {packed, 0, 0};
  size_t at = 0;
  while (at < TEXT) {
    for (int i = 0; i < SYMBOLS; i++) main_code.bits[i] = (uint8_t)get(&in, 4);
    for (int i = 0; i < DISTANCES; i++) distance_code.bits[i] = (uint8_t)get(&in, 4);
    make_reader(&main_reader, &main_code, SYMBOLS);
    make_reader(&distance_reader, &distance_code, DISTANCES);
    for (int symbol; (symbol = read_symbol(&in, &main_reader)) != END;) {
      if (symbol < 0 || at >= TEXT) return 0;
      if (symbol < END) { text[at++] = (uint8_t)symbol; continue; }
      const int class = read_symbol(&in, &distance_reader);
      const size_t distance = (1u << class) | get(&in, class);
      for (int left = symbol - LENGTH_0 + SHORTEST; left; left--, at++) text[at] = text[at - distance];
    }
  }
  return at;
}

int main(void) {
  uint8_t *text = malloc(TEXT), *packed = malloc(2 * TEXT), *again = malloc(TEXT + LONGEST);
  write_text(text);
  double start = now();
  const size_t size = pack(text, packed);
  double middle = now();
  const size_t back = unpack(packed, again);
  double end = now();
  if (back != TEXT || memcmp(text, again, TEXT)) return fprintf(stderr, "deflate: the text did not come back\n"), 1;
  printf("BENCH deflate_pack %.4f chk=%zu\nBENCH deflate_unpack %.4f chk=%d\n", middle - start, size, end - middle, TEXT);
  return 0;
}
