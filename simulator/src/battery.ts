import type { Chance } from "@fleetmesh/core";

const capacityWh = 58_000;
const massKg = 1850;
const resistanceOhm = 0.09;
const driveEfficiency = 0.9;
const regenerationEfficiency = 0.72;
const regenerationMaxW = 60_000;
const chargingW = 48_000;

/** The traction battery and what draws on it. */
export class Battery {
  /** Percent. */
  charge: number;
  voltageV = 0;
  /** Positive while it is drawn on. */
  currentA = 0;
  temperatureC: number;
  motorTemperatureC: number;
  /** Drawn since it was made, Wh. */
  usedWh = 0;
  #auxiliaryW = 650;
  readonly #chance: Chance;

  constructor(chance: Chance, outsideC: number) {
    this.#chance = chance;
    this.charge = 45 + 45 * chance.float();
    this.temperatureC = outsideC + 6;
    this.motorTemperatureC = outsideC + 18;
  }

  step(seconds: number, motion: { speed: number; acceleration: number; outsideC: number }): void {
    this.#auxiliaryW += (650 - this.#auxiliaryW) * 0.01 + (this.#chance.float() - 0.5) * 40;
    this.#draw(seconds, this.#powerOf(motion.speed, motion.acceleration) + this.#auxiliaryW);
    const heat = this.currentA * this.currentA * resistanceOhm;
    this.temperatureC +=
      (seconds * (heat - 14 * (this.temperatureC - motion.outsideC - 4))) / 320_000;
    const motorHeat = 0.06 * Math.abs(this.currentA * this.voltageV);
    this.motorTemperatureC +=
      (seconds * (motorHeat - 45 * (this.motorTemperatureC - motion.outsideC))) / 24_000;
  }

  /** Stands at a charger. */
  stepCharging(seconds: number): void {
    this.#draw(seconds, this.#auxiliaryW - chargingW);
  }

  /** Watts at the battery for this motion: inertia, rolling and air drag, less what braking gives back. */
  #powerOf(speed: number, acceleration: number): number {
    const force = massKg * acceleration + (speed > 0 ? 190 : 0) + 0.42 * speed * speed;
    const mechanicalW = force * speed;
    if (mechanicalW >= 0) return mechanicalW / driveEfficiency;
    return Math.max(-regenerationMaxW, mechanicalW * regenerationEfficiency);
  }

  #draw(seconds: number, powerW: number): void {
    const openV = 335 + 0.65 * this.charge;
    this.currentA = powerW / openV;
    this.voltageV = openV - this.currentA * resistanceOhm;
    const usedWh = (powerW * seconds) / 3600;
    this.usedWh += usedWh;
    this.charge = Math.max(0, Math.min(100, this.charge - (100 * usedWh) / capacityWh));
  }
}
