import type { Chance } from "@fleetmesh/core";
import type { Battery } from "./battery.ts";
import type { Driver } from "./driver.ts";
import { latitudeOf, longitudeOf, type Route } from "./route.ts";
import { noise, quantise, WanderingError } from "./sensor.ts";

export type Signals = Readonly<Record<string, number | boolean>>;

const gearRatio = 9.6;
const wheelCircumferenceM = 2.05;

export interface Vitals {
  readonly route: Route;
  readonly driver: Driver;
  readonly battery: Battery;
  readonly outsideC: number;
  readonly odometerKm: number;
}

/** Reads the vehicle through its sensors: VSS 6 names, each with the resolution and the noise its bus has. */
export class SignalReader {
  readonly #chance: Chance;
  readonly #east: WanderingError;
  readonly #north: WanderingError;

  constructor(chance: Chance) {
    this.#chance = chance;
    this.#east = new WanderingError(chance, 0.9);
    this.#north = new WanderingError(chance, 0.9);
  }

  read(vitals: Vitals): Signals {
    return { ...this.#motion(vitals), ...this.#position(vitals), ...this.#power(vitals) };
  }

  #motion({ route, driver, odometerKm }: Vitals): Signals {
    const { speed, acceleration } = driver;
    const road = route.at(driver.distanceM);
    const lateral = speed * speed * road.curvature;
    const shown = speed === 0 ? 0 : Math.max(0, speed * 3.6 + noise(this.#chance, 0.05));
    const shake = speed === 0 ? 0.004 : 0.03;
    return {
      "Vehicle.Speed": quantise(shown, 0.05),
      "Vehicle.Acceleration.Longitudinal": quantise(
        acceleration + noise(this.#chance, shake),
        0.02,
      ),
      "Vehicle.Acceleration.Lateral": quantise(lateral + noise(this.#chance, shake), 0.02),
      "Vehicle.TraveledDistance": quantise(odometerKm, 0.1),
      "Vehicle.Chassis.SteeringWheel.Angle": Math.round(road.curvature * 2.7 * 15.5 * 57.3),
      "Vehicle.Chassis.Accelerator.PedalPosition": pedal(acceleration + speed * 0.02, 2.6),
      "Vehicle.Chassis.Brake.PedalPosition": pedal(-acceleration - 1.2, 6),
    };
  }

  #position({ route, driver }: Vitals): Signals {
    const road = route.at(driver.distanceM);
    if (driver.speed > 0) {
      this.#east.step();
      this.#north.step();
    }
    return {
      "Vehicle.CurrentLocation.Latitude": quantise(
        latitudeOf(road.northM + this.#north.value),
        1e-6,
      ),
      "Vehicle.CurrentLocation.Longitude": quantise(
        longitudeOf(road.eastM + this.#east.value),
        1e-6,
      ),
      "Vehicle.CurrentLocation.Heading": quantise((road.headingDeg + 360) % 360, 0.1),
      "Vehicle.CurrentLocation.Altitude": quantise(road.altitudeM, 0.1),
    };
  }

  #power({ driver, battery, outsideC }: Vitals): Signals {
    const motorRpm = (driver.speed / wheelCircumferenceM) * 60 * gearRatio;
    const pack = "Vehicle.Powertrain.TractionBattery";
    return {
      [`${pack}.StateOfCharge.Current`]: quantise(battery.charge, 0.1),
      [`${pack}.CurrentVoltage`]: quantise(battery.voltageV + noise(this.#chance, 0.08), 0.1),
      [`${pack}.CurrentCurrent`]: quantise(battery.currentA + noise(this.#chance, 0.15), 0.1),
      [`${pack}.Temperature.Average`]: quantise(battery.temperatureC, 0.5),
      "Vehicle.Powertrain.ElectricMotor.Speed": Math.round(motorRpm + noise(this.#chance, 1)),
      "Vehicle.Powertrain.ElectricMotor.Temperature": Math.round(battery.motorTemperatureC),
      "Vehicle.Exterior.AirTemperature": quantise(outsideC, 0.5),
      "Vehicle.IsMoving": driver.speed > 0,
    };
  }
}

/** Percent of a pedal's way. */
function pedal(effort: number, full: number): number {
  return Math.round(100 * Math.max(0, Math.min(1, effort / full)));
}
