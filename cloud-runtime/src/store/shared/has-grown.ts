/** Why a topic is not removed: there are events behind the last one that whoever removes it knew of. */
export const hasGrown = "events came meanwhile";
