import mqttPacket from "mqtt-packet";

/**
 * The packet library makes a buffer for each of 65,536 numbers when it writes its first packet: 7 MB, and 50 ms at the
 * start of a process. A number written takes no longer without. It is one library for all of a process: door and uplink.
 */
export function dropMqttNumberCache(): void {
  mqttPacket.writeToStream.cacheNumbers = false;
}
