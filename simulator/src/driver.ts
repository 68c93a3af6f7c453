import type { Chance } from "@fleetmesh/core";
import type { Route } from "./route.ts";

const jerkMax = 2.5;
const brakingMax = 6.5;
const brakingForLight = 1.9;
const lightPeriodS = 70;
const redPart = 0.4;
const brakesHardPerSecond = 1 / 900;

/** Holds the wheel and the pedals: speed by the road, the lights and now and then a surprise. */
export class Driver {
  distanceM: number;
  speed = 0;
  /** m/s² */
  acceleration = 0;
  readonly #route: Route;
  readonly #chance: Chance;
  readonly #accelerationMax: number;
  readonly #haste: number;
  readonly #lightPhases: readonly number[];
  #surpriseS = 0;
  #timeS = 0;

  constructor(route: Route, chance: Chance) {
    this.#route = route;
    this.#chance = chance;
    this.distanceM = chance.float() * route.lengthM;
    this.#accelerationMax = 1.4 + 0.9 * chance.float();
    this.#haste = 0.88 + 0.16 * chance.float();
    this.#lightPhases = route.lightsM.map(() => chance.float() * lightPeriodS);
  }

  /** Whether the driver is in an emergency stop. */
  get isBrakingHard(): boolean {
    return this.#surpriseS > 0;
  }

  /** Drives on for a tenth of a second or less; parked means to stand still. */
  step(seconds: number, isParked: boolean): void {
    this.#timeS += seconds;
    this.#surprise(seconds);
    const wanted = isParked ? 0 : this.#wantedSpeed();
    const limit = this.#accelerationMax / (1 + this.speed / 25);
    const target = this.isBrakingHard
      ? -brakingMax
      : Math.max(-3, Math.min(limit, (wanted - this.speed) / 0.8));
    const change = (this.isBrakingHard ? 12 : jerkMax) * seconds;
    this.acceleration += Math.max(-change, Math.min(change, target - this.acceleration));
    this.#move(seconds, wanted);
  }

  #move(seconds: number, wanted: number): void {
    const speed = this.speed + this.acceleration * seconds;
    if (speed <= 0.05 && wanted < 0.3) {
      this.speed = 0;
      this.acceleration = 0;
      return;
    }
    this.speed = Math.max(0, speed);
    this.distanceM += this.speed * seconds;
  }

  #surprise(seconds: number): void {
    if (this.#surpriseS > 0) this.#surpriseS -= seconds;
    else if (this.speed > 8 && this.#chance.float() < brakesHardPerSecond * seconds)
      this.#surpriseS = 0.8 + this.#chance.float();
  }

  #wantedSpeed(): number {
    const road = this.#route.at(this.distanceM + this.speed * 0.5).speedMax * this.#haste;
    return Math.min(road, this.#speedBeforeLight());
  }

  /** What the next red light within braking distance allows. */
  #speedBeforeLight(): number {
    const { lengthM, lightsM } = this.#route;
    const here = this.distanceM % lengthM;
    let allowed = Infinity;
    lightsM.forEach((light, index) => {
      const ahead = (light - here + lengthM) % lengthM;
      const needed = (this.speed * this.speed) / (2 * brakingForLight);
      if (!this.#isRed(index) || ahead > 120 || ahead < 0.6 * needed) return;
      allowed = Math.min(allowed, Math.sqrt(2 * brakingForLight * Math.max(0, ahead - 3)));
    });
    return allowed;
  }

  #isRed(index: number): boolean {
    const phase = (this.#timeS + (this.#lightPhases[index] ?? 0)) % lightPeriodS;
    return phase < redPart * lightPeriodS;
  }
}
