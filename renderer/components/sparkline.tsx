/** A line over the last samples; the newest is at the right edge. */
export function Sparkline({ values, slots, max, width = 120, height = 28, color = 'var(--mantine-primary-color-filled)', label, fill = true }: { values: readonly number[]; slots: number; max?: number; width?: number; height?: number; color?: string; label: string; fill?: boolean }) {
  const top = Math.max(max ?? 0, ...values, 1e-9);
  const step = width / Math.max(slots - 1, 1);
  const points = values.map((value, at) => [width - (values.length - 1 - at) * step, height - 1.5 - (value / top) * (height - 3)] as const);
  const line = points.map(([x, y], at) => `${at === 0 ? 'M' : 'L'}${x.toFixed(1)} ${y.toFixed(1)}`).join('');
  const first = points[0];
  return (
    <svg className="sparkline" viewBox={`0 0 ${width} ${height}`} width={width} height={height} preserveAspectRatio="none" role="img" aria-label={label}>
      {fill && first !== undefined && points.length > 1 && <path d={`${line}L${width} ${height}L${first[0].toFixed(1)} ${height}Z`} fill={color} opacity={0.13} />}
      <path d={line} fill="none" stroke={color} strokeWidth={1.5} strokeLinejoin="round" vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
