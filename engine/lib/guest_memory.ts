/** A VM's RAM as devices and the hypervisor see it: by GPA, in bounds, or not at all. */
export interface GuestMemory {
  /** Bytes of RAM, all ranges together. */
  readonly sizeBytes: number;
  /** RAM ranges in ascending GPA order. */
  readonly ranges: ReadonlyArray<{ readonly gpa: number; readonly sizeBytes: number }>;
  /**
   * Live view of [gpa, gpa + length). undefined unless the whole of it is RAM of this VM (one range): callers answer
   * that as hardware would. The bytes are shared with running vCPUs: read each field once.
   */
  view(gpa: number, length: number): Uint8Array | undefined;
  /** To be called after writing through a view, so that pCPUs drop code decoded from these bytes. */
  written(gpa: number, length: number): void;
  /** Atomic view for ring indices: 32-bit words at a 4-aligned GPA; undefined outside RAM. */
  words(gpa: number, count: number): Int32Array | undefined;
}
