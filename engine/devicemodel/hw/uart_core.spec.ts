import { expect, test } from 'vitest';
import fc from 'fast-check';
import { FakeChar } from '../testing/fake_vhm.ts';
import { UartCore } from './uart_core.ts';

function setUp() {
  const backend = new FakeChar();
  const edges: string[] = [];
  const uart = new UartCore({ assert: () => edges.push('high'), deassert: () => edges.push('low') }, backend);
  return { uart, backend, edges };
}

test('a byte written to THR reaches the backend and LSR shows THRE and TEMT', () => {
  const { uart, backend } = setUp();
  uart.write(0, 0x41);
  expect(backend.text).toBe('A');
  expect(uart.read(5)).toBe(0x60);
});

test('the divisor latch is 12 after reset and hides RBR and IER while DLAB is set', () => {
  const { uart, backend } = setUp();
  uart.write(3, 0x80);
  expect([uart.read(0), uart.read(1)]).toEqual([12, 0]);
  uart.write(0, 1);
  expect(uart.read(0)).toBe(1);
  uart.write(3, 0x03);
  expect(backend.text).toBe('');
  expect(uart.read(1)).toBe(0);
});

test('enabling the THRE interrupt raises it at once, reading IIR acknowledges it', () => {
  const { uart, edges } = setUp();
  uart.write(1, 0x02);
  expect(edges).toEqual(['high']);
  expect(uart.read(2)).toBe(0x02);
  expect(edges).toEqual(['high', 'low']);
  expect(uart.read(2)).toBe(0x01);
  uart.write(0, 0x42);
  expect(edges).toEqual(['high', 'low', 'high']);
});

test('received data outranks the transmitter: timeout below the trigger level, data available at it', () => {
  const { uart, backend } = setUp();
  uart.write(2, 0x41); // FIFO on, trigger at 4
  uart.write(1, 0x03);
  backend.type('abc');
  expect(uart.read(2)).toBe(0xcc);
  backend.type('d');
  expect(uart.read(2)).toBe(0xc4);
  expect(uart.read(5) & 0x01).toBe(0x01);
  expect([uart.read(0), uart.read(0), uart.read(0), uart.read(0)]).toEqual([0x61, 0x62, 0x63, 0x64]);
  expect(uart.read(0)).toBe(0xff);
  expect(uart.read(2)).toBe(0xc2);
});

test('without FIFO one byte is held and the backend is paused until it is read', () => {
  const { uart, backend } = setUp();
  backend.type('xy');
  expect(backend.paused).toBe(true);
  expect(uart.read(0)).toBe(0x78);
  expect(uart.read(0)).toBe(0x79);
});

test('256 bytes fit the FIFO; the rest waits in the backend and nothing is lost', () => {
  const { uart, backend } = setUp();
  uart.write(2, 0x01);
  const text = Array.from({ length: 600 }, (_, i) => String.fromCharCode(0x20 + (i % 90))).join('');
  backend.type(text);
  let received = '';
  while (uart.read(5) & 1) received += String.fromCharCode(uart.read(0));
  expect(received).toBe(text);
});

test('in loopback a byte comes back, modem outputs drive modem inputs, an overflow sets OE', () => {
  const { uart, backend } = setUp();
  uart.write(4, 0x10 | 0x0a); // RTS and OUT2
  expect(uart.read(6) & 0xf0).toBe(0x90);
  uart.write(0, 0x55);
  expect(backend.text).toBe('');
  uart.write(0, 0xaa);
  expect(uart.read(5) & 0x03).toBe(0x03);
  expect(uart.read(5) & 0x02).toBe(0);
  expect(uart.read(0)).toBe(0xaa);
});

test('the scratch register keeps what it is given', () => {
  const { uart } = setUp();
  uart.write(7, 0x5a);
  expect(uart.read(7)).toBe(0x5a);
});

test('clearing FCR bit 0 empties the FIFO and IIR shows no FIFO', () => {
  const { uart, backend } = setUp();
  uart.write(2, 0x01);
  backend.type('a');
  uart.write(2, 0x00);
  expect(uart.read(5) & 1).toBe(0);
  expect(uart.read(2)).toBe(0x01);
});

test('any sequence of accesses leaves registers as bytes and the line as its cause says', () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(7), fc.nat(255))), (accesses) => {
    const { uart, backend } = setUp();
    for (const [write, offset, value] of accesses) {
      if (write) uart.write(offset, value);
      else expect(uart.read(offset)).toBeLessThanOrEqual(0xff);
      if (value === 7) backend.type('z');
    }
    const was = uart.pending;
    uart.write(3, 0x03);
    uart.write(7, 0);
    expect(uart.pending).toBe(was);
  }), { seed: 1, numRuns: 200 });
});
