/** A place on the road: metres east and north of the route's origin, and what the road asks of a driver there. */
export interface RoadPoint {
  readonly eastM: number;
  readonly northM: number;
  readonly altitudeM: number;
  /** Degrees clockwise from north. */
  readonly headingDeg: number;
  /** 1/m, positive to the right. */
  readonly curvature: number;
  /** What limit, bends and the bends to come allow, m/s. */
  readonly speedMax: number;
}

/** A corner of the loop as a map gives it. */
interface WayPoint {
  readonly latitude: number;
  readonly longitude: number;
  readonly altitudeM: number;
  /** Limit from here to the next way-point. */
  readonly limitKmh: number;
}

/* prettier-ignore */
const wayPoints: readonly WayPoint[] = [
  { latitude: 31.2812, longitude: 121.1584, altitudeM: 6.0, limitKmh: 50 },
  { latitude: 31.2858, longitude: 121.1611, altitudeM: 6.4, limitKmh: 60 },
  { latitude: 31.2921, longitude: 121.1655, altitudeM: 7.1, limitKmh: 70 },
  { latitude: 31.2986, longitude: 121.1737, altitudeM: 9.5, limitKmh: 80 },
  { latitude: 31.2993, longitude: 121.1859, altitudeM: 12.2, limitKmh: 80 },
  { latitude: 31.2941, longitude: 121.1957, altitudeM: 8.8, limitKmh: 60 },
  { latitude: 31.2866, longitude: 121.1968, altitudeM: 5.9, limitKmh: 50 },
  { latitude: 31.2819, longitude: 121.1902, altitudeM: 5.2, limitKmh: 40 },
  { latitude: 31.2761, longitude: 121.1866, altitudeM: 5.0, limitKmh: 50 },
  { latitude: 31.2723, longitude: 121.1771, altitudeM: 5.3, limitKmh: 60 },
  { latitude: 31.2737, longitude: 121.1656, altitudeM: 5.6, limitKmh: 50 },
  { latitude: 31.2771, longitude: 121.1597, altitudeM: 5.8, limitKmh: 30 },
];

const metresPerDegree = 111_320;
const spacingM = 5;
const lateralAccelerationMax = 2.2;
const brakingPlanned = 1.4;
const origin = { latitude: 31.28, longitude: 121.17 };
const metresPerDegreeEast = metresPerDegree * Math.cos((origin.latitude * Math.PI) / 180);

/** A closed loop of town roads, smoothed as roads are, sampled every few metres. */
export class Route {
  readonly lengthM: number;
  /** Where traffic lights stand, metres from the start. */
  readonly lightsM: readonly number[];
  readonly #points: readonly RoadPoint[];

  constructor() {
    const path = smoothPath();
    this.#points = withSpeeds(withBends(path));
    this.lengthM = path.length * spacingM;
    this.lightsM = [0.07, 0.21, 0.34, 0.55, 0.63, 0.78, 0.9].map((part) => part * this.lengthM);
  }

  at(distanceM: number): RoadPoint {
    const place = (((distanceM % this.lengthM) + this.lengthM) % this.lengthM) / spacingM;
    const index = Math.floor(place);
    const before = this.#point(index);
    const after = this.#point(index + 1);
    const part = place - index;
    const mix = (from: number, to: number): number => from + (to - from) * part;
    return {
      eastM: mix(before.eastM, after.eastM),
      northM: mix(before.northM, after.northM),
      altitudeM: mix(before.altitudeM, after.altitudeM),
      headingDeg: before.headingDeg + turnBetween(before.headingDeg, after.headingDeg) * part,
      curvature: mix(before.curvature, after.curvature),
      speedMax: mix(before.speedMax, after.speedMax),
    };
  }

  #point(index: number): RoadPoint {
    const point = this.#points[index % this.#points.length];
    if (point === undefined) throw new RangeError("a route has no points");
    return point;
  }
}

export function latitudeOf(northM: number): number {
  return origin.latitude + northM / metresPerDegree;
}

export function longitudeOf(eastM: number): number {
  return origin.longitude + eastM / metresPerDegreeEast;
}

/** Degrees to turn from one heading to another, -180 to 180. */
function turnBetween(fromDeg: number, toDeg: number): number {
  return ((toDeg - fromDeg + 540) % 360) - 180;
}

interface PathPoint {
  readonly eastM: number;
  readonly northM: number;
  readonly altitudeM: number;
  readonly limit: number;
}

/** A Catmull-Rom curve through the way-points, walked in equal steps. */
function smoothPath(): PathPoint[] {
  const dense: PathPoint[] = [];
  for (let index = 0; index < wayPoints.length; index += 1)
    for (let step = 0; step < 400; step += 1) dense.push(curvePoint(index, step / 400));
  const path: PathPoint[] = [];
  let walked = 0;
  let last = dense[0];
  for (const point of dense) {
    if (last !== undefined)
      walked += Math.hypot(point.eastM - last.eastM, point.northM - last.northM);
    last = point;
    if (walked >= path.length * spacingM) path.push(point);
  }
  return path;
}

function curvePoint(index: number, part: number): PathPoint {
  const corners = [-1, 0, 1, 2].map((offset) => corner(index + offset));
  const along = (pick: (point: PathPoint) => number): number => spline(corners.map(pick), part);
  return {
    eastM: along((point) => point.eastM),
    northM: along((point) => point.northM),
    altitudeM: along((point) => point.altitudeM),
    limit: corner(index).limit,
  };
}

function corner(index: number): PathPoint {
  const point = wayPoints[(index + wayPoints.length) % wayPoints.length];
  if (point === undefined) throw new RangeError("there are no way-points");
  return {
    eastM: (point.longitude - origin.longitude) * metresPerDegreeEast,
    northM: (point.latitude - origin.latitude) * metresPerDegree,
    altitudeM: point.altitudeM,
    limit: point.limitKmh / 3.6,
  };
}

function spline([a = 0, b = 0, c = 0, d = 0]: readonly number[], t: number): number {
  return (
    0.5 *
    (2 * b +
      (c - a) * t +
      (2 * a - 5 * b + 4 * c - d) * t * t +
      (3 * b - a - 3 * c + d) * t * t * t)
  );
}

function withBends(path: readonly PathPoint[]): RoadPoint[] {
  const headings = path.map((point, index) => {
    const next = path[(index + 1) % path.length] ?? point;
    const angle = Math.atan2(next.eastM - point.eastM, next.northM - point.northM);
    return ((angle * 180) / Math.PI + 360) % 360;
  });
  return path.map((point, index) => {
    const headingDeg = headings[index] ?? 0;
    const before = headings[(index + path.length - 2) % path.length] ?? 0;
    const after = headings[(index + 2) % path.length] ?? 0;
    const curvature = (turnBetween(before, after) * Math.PI) / 180 / (4 * spacingM);
    const inBend = Math.sqrt(lateralAccelerationMax / Math.max(1e-4, Math.abs(curvature)));
    const { eastM, northM, altitudeM, limit } = point;
    return { eastM, northM, altitudeM, headingDeg, curvature, speedMax: Math.min(limit, inBend) };
  });
}

/** Speeds such that a driver who looks ahead needs no more than planned braking. Twice around closes the loop. */
function withSpeeds(points: readonly RoadPoint[]): RoadPoint[] {
  const speeds = points.map((point) => point.speedMax);
  for (let step = 2 * points.length - 1; step >= 0; step -= 1) {
    const index = step % points.length;
    const next = speeds[(index + 1) % points.length] ?? 0;
    speeds[index] = Math.min(
      speeds[index] ?? 0,
      Math.sqrt(next * next + 2 * brakingPlanned * spacingM),
    );
  }
  return points.map((point, index) => ({ ...point, speedMax: speeds[index] ?? 0 }));
}
