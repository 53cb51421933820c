/** Addresses that say whose they are. */

/** Guest physical address: one VM's. */
export type Gpa = number & { readonly space: 'GPA' };
/** Host physical address: the emulated board's. */
export type Hpa = number & { readonly space: 'HPA' };

export const gpa = (value: number): Gpa => value as Gpa;
export const hpa = (value: number): Hpa => value as Hpa;
