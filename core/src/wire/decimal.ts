/** Decimal digits up to which every number is exact and below columnValueMax. */
export const digitsMax = 15;

/** The spelling with exactly so many fraction digits. */
export function formatDecimal(mantissa: number, fractionDigits: number): string {
  if (fractionDigits === 0) return String(mantissa);
  const scale = 10 ** fractionDigits;
  const size = Math.abs(mantissa);
  const whole = Math.floor(size / scale);
  const fraction = String(size - whole * scale).padStart(fractionDigits, "0");
  return `${mantissa < 0 ? "-" : ""}${whole}.${fraction}`;
}
