// Where a moment lies on the waterfall's axis. Pure. A wait of a day beside a step of a millisecond would leave nothing
// to see, so long periods in which the turn does not run are folded: drawn shorter, and marked.

const SHARE_OF_A_FOLD = 0.2; // of the time that the turn ran
const SHORTEST_MS = 40;

/** periods: {from, to, kind}, in order and without gaps; kind "running" is never folded. */
export class Scale {
  #pieces = [];

  constructor(periods) {
    const length = ({ from, to }) => Math.max(0, to - from);
    const ranMs = periods.filter(({ kind }) => kind === "running").reduce((sum, period) => sum + length(period), 0);
    const isFoldable = ranMs > 0;
    const foldMs = Math.max(SHORTEST_MS, ranMs * SHARE_OF_A_FOLD);
    let drawn = 0;
    for (const period of periods) {
      const isFolded = isFoldable && period.kind !== "running" && length(period) > foldMs * 1.5;
      const size = isFolded ? foldMs : length(period);
      this.#pieces.push({ ...period, isFolded, begin: drawn, size });
      drawn += size;
    }
    this.drawn = Math.max(drawn, 1);
  }

  /** 0..1 */
  at(moment) {
    const piece = this.#pieces.findLast(({ from }) => from <= moment) ?? this.#pieces[0];
    if (!piece) return 0;
    const lasted = Math.max(1, piece.to - piece.from);
    const within = Math.min(1, Math.max(0, (moment - piece.from) / lasted));
    return (piece.begin + within * piece.size) / this.drawn;
  }

  /** The folded periods: {from, to, kind}. */
  get folds() {
    return this.#pieces.filter(({ isFolded }) => isFolded);
  }
}

/** The periods of a turn without gaps from begin to end: what model.periods leaves out before it is `queued`. */
export function wholePeriods(periods, begin, end) {
  const first = periods[0]?.from ?? end;
  const whole = first > begin ? [{ from: begin, to: first, kind: "queued" }] : [];
  for (const period of periods) whole.push({ ...period, to: period.to ?? Math.max(end, period.from) });
  return whole;
}
