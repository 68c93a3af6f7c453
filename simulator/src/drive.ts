import type { Chance } from "@fleetmesh/core";
import { Battery } from "./battery.ts";
import { driveEvent, type TopicEvent } from "./drive-event.ts";
import { Driver } from "./driver.ts";
import { Route } from "./route.ts";
import { quantise } from "./sensor.ts";
import { SignalReader, type Signals } from "./vss-signals.ts";

export interface DriveOptions {
  /** All that is left to chance comes from here: the same seed drives the same way. */
  readonly chance: Chance;
  readonly pseudonym: string;
  /** `agent` leaves the id to the agent (it is not sent then); `uuid` gives each event a random one. */
  readonly ids?: "agent" | "uuid";
}

const stepSeconds = 0.1;
const chargeBelow = 15;
const chargeUntil = 80;
const route = new Route();

/** One vehicle under way: a town loop with lights, bends and charging stops, seen through its sensors. */
export class Drive {
  readonly #options: DriveOptions;
  readonly #driver: Driver;
  readonly #battery: Battery;
  readonly #signals: SignalReader;
  readonly #odometerStartKm: number;
  readonly #startM: number;
  #outsideC: number;
  #isCharging = false;
  #wasBrakingHard = false;
  #lap = 0;
  #tripStart = { distanceM: 0, usedWh: 0, seconds: 0 };
  #seconds = 0;

  constructor(options: DriveOptions) {
    const { chance } = options;
    this.#options = options;
    this.#outsideC = 8 + 20 * chance.float();
    this.#driver = new Driver(route, chance);
    this.#battery = new Battery(chance, this.#outsideC);
    this.#signals = new SignalReader(chance);
    this.#odometerStartKm = 1000 + 60_000 * chance.float();
    this.#startM = this.#driver.distanceM;
    this.#tripStart = { ...this.#tripStart, distanceM: this.#startM };
  }

  /** Drives on and tells what a gateway would send at the end of that time: rare events first, then the telemetry. */
  advance(seconds: number, wallMs: number): TopicEvent[] {
    for (let left = seconds; left > 1e-9; left -= stepSeconds)
      this.#step(Math.min(left, stepSeconds));
    const events = [...this.#alerts(wallMs), ...this.#trips(wallMs)];
    events.push(this.#event({ name: "telemetry", wallMs, data: this.signals() }));
    return events;
  }

  signals(): Signals {
    return this.#signals.read({
      route,
      driver: this.#driver,
      battery: this.#battery,
      outsideC: this.#outsideC,
      odometerKm: this.#odometerStartKm + (this.#driver.distanceM - this.#startM) / 1000,
    });
  }

  #step(seconds: number): void {
    const { speed, acceleration } = this.#driver;
    this.#seconds += seconds;
    this.#outsideC += (this.#options.chance.float() - 0.5) * 0.004;
    this.#driver.step(seconds, this.#isCharging);
    if (this.#isCharging && speed === 0) this.#battery.stepCharging(seconds);
    else this.#battery.step(seconds, { speed, acceleration, outsideC: this.#outsideC });
  }

  #alerts(wallMs: number): TopicEvent[] {
    const events: TopicEvent[] = [];
    const speed = quantise(this.#driver.speed * 3.6, 0.05);
    if (this.#driver.isBrakingHard && !this.#wasBrakingHard)
      events.push(this.#event({ name: "alert", wallMs, data: { alert: "harsh-braking", speed } }));
    this.#wasBrakingHard = this.#driver.isBrakingHard;
    const charge = quantise(this.#battery.charge, 0.1);
    if (!this.#isCharging && charge < chargeBelow) {
      this.#isCharging = true;
      events.push(this.#event({ name: "alert", wallMs, data: { alert: "low-battery", charge } }));
    } else if (charge > chargeUntil) {
      this.#isCharging = false;
    }
    return events;
  }

  /** A lap of the loop is a trip. */
  #trips(wallMs: number): TopicEvent[] {
    const lap = Math.floor((this.#driver.distanceM - this.#startM) / route.lengthM);
    if (lap === this.#lap) return [];
    this.#lap = lap;
    const start = this.#tripStart;
    const { distanceM } = this.#driver;
    const { usedWh } = this.#battery;
    this.#tripStart = { distanceM, usedWh, seconds: this.#seconds };
    const data = {
      trip: lap,
      distanceKm: quantise((distanceM - start.distanceM) / 1000, 0.01),
      energyWh: Math.round(usedWh - start.usedWh),
      durationS: Math.round(this.#seconds - start.seconds),
    };
    return [this.#event({ name: "trip", wallMs, data })];
  }

  #event(what: {
    name: "telemetry" | "trip" | "alert";
    wallMs: number;
    data: unknown;
  }): TopicEvent {
    const { chance, pseudonym, ids } = this.#options;
    const id = ids === "uuid" ? chance.uuid() : "";
    const type = `com.fleetmesh.vss.${what.name}.v1`;
    const { wallMs, data } = what;
    return {
      topic: `vehicle.${what.name}`,
      event: driveEvent({ id, pseudonym, type, wallMs, data }),
    };
  }
}
