import { seededChance, type Chance } from "@fleetmesh/core";

/**
 * What the edge benches send: a snapshot of 24 signals of the Vehicle Signal Specification as compact JSON, close to
 * 1,024 bytes of data in an event with source, type, subject, time and data content type (structured: about 1,260 bytes).
 * Numbers wander as a drive's do. Ids are 16 digits, unique within a pool.
 */
const signals: readonly (readonly [path: string, from: number, step: number, digits: number])[] = [
  ["Vehicle.Speed", 62, 0.8, 2],
  ["Vehicle.TraveledDistance", 48_211, 0.02, 3],
  ["Vehicle.Acceleration.Longitudinal", 0.3, 0.1, 3],
  ["Vehicle.AngularVelocity.Yaw", 1.2, 0.3, 3],
  ["Vehicle.CurrentLocation.Latitude", 48.137154, 0.00004, 6],
  ["Vehicle.CurrentLocation.Longitude", 11.576124, 0.00004, 6],
  ["Vehicle.CurrentLocation.Altitude", 519, 0.2, 1],
  ["Vehicle.CurrentLocation.Heading", 184, 0.9, 1],
  ["Vehicle.Powertrain.CombustionEngine.Speed", 2100, 40, 0],
  ["Vehicle.Powertrain.CombustionEngine.ECT", 91, 0.3, 1],
  ["Vehicle.Powertrain.CombustionEngine.MAP", 101, 1, 0],
  ["Vehicle.Powertrain.CombustionEngine.MAF", 14, 0.5, 2],
  ["Vehicle.Powertrain.CombustionEngine.Torque", 130, 4, 1],
  ["Vehicle.Powertrain.Transmission.CurrentGear", 4, 0.2, 0],
  ["Vehicle.Powertrain.FuelSystem.RelativeLevel", 63, 0.01, 1],
  ["Vehicle.OBD.ThrottlePosition", 31, 1.5, 1],
  ["Vehicle.OBD.EngineLoad", 44, 1.5, 1],
  ["Vehicle.OBD.IntakeTemp", 28, 0.2, 1],
  ["Vehicle.OBD.O2WR.Sensor1.Lambda", 1, 0.004, 4],
  ["Vehicle.Chassis.SteeringWheel.Angle", 3, 1.5, 1],
  ["Vehicle.Chassis.Brake.PedalPosition", 0, 0.6, 0],
  ["Vehicle.Chassis.Axle.Row1.Wheel.Left.Speed", 62, 0.8, 2],
  ["Vehicle.Cabin.HVAC.AmbientAirTemperature", 21, 0.05, 1],
  ["Vehicle.LowVoltageBattery.CurrentVoltage", 13.9, 0.02, 2],
];

const startMs = Date.UTC(2026, 0, 1);

/** Structured JSON events. */
export function telemetryEvents(count: number, seed = 1): Buffer[] {
  const chance = seededChance(seed);
  const values = signals.map(([, from]) => from);
  return Array.from({ length: count }, (_, index) => {
    const snapshot = signals.map(([path, , step, digits], at) => {
      const value = (values[at] ?? 0) + step * (2 * chance.float() - 1);
      values[at] = value;
      return `"${path}":${value.toFixed(digits)}`;
    });
    return structured(index, `{${snapshot.join(",")}}`, chance);
  });
}

function structured(index: number, data: string, chance: Chance): Buffer {
  const id = String(index).padStart(16, "0");
  const time = new Date(startMs + index * 1000 + Math.floor(4 * chance.float())).toISOString();
  return Buffer.from(
    `{"specversion":"1.0","id":"${id}","source":"urn:vehicle:5f1c9b3a7d20","type":"com.example.vehicle.snapshot",` +
      `"subject":"5f1c9b3a7d20","time":"${time}","datacontenttype":"application/json","data":${data}}`,
  );
}

/** The mean bytes of the events' data. */
export function meanDataBytes(events: readonly Buffer[]): number {
  const sum = events.reduce(
    (bytes, event) => bytes + event.length - event.indexOf('"data":') - 8,
    0,
  );
  return sum / events.length;
}
