import { floodNewPods } from "./policy/first-packet.ts";

floodNewPods(200);
