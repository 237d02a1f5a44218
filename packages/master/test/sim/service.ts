// What a simulated master does for clients: the edge of the product in a few lines.

import { asLumeoError } from "@lumeofs/base";
import type { SimNetwork } from "@lumeofs/testkit";
import { encodeProposal } from "../../src/metadata/command-codec.js";
import { decodeReply } from "../../src/metadata/reply-codec.js";
import type { ClientParcel, ReplyBody, RequestBody } from "./client.js";
import type { Member } from "./member.js";

/** From now on requests that reach this master over the network are served while it runs. */
export function serve(member: Member, network: SimNetwork<ClientParcel>): void {
  network.attach(member.name, (from, parcel) => {
    if (parcel.kind !== "request") return;
    const { number, body } = parcel;
    member.deliver(() => {
      const { process } = member;
      const respond = (reply: ReplyBody): void => {
        // The rest of a turn in which the power went.
        if (member.process !== process) return;
        network.send(member.name, from, { kind: "reply", number, body: reply });
      };
      perform(member, body).then(respond, (error: unknown) => {
        respond({ kind: "failed", error: asLumeoError(error) });
      });
    });
  });
}

async function perform(member: Member, body: RequestBody): Promise<ReplyBody> {
  const { process, clock, reader, gate } = member;
  // Not started yet: the client hears nothing and asks again.
  const isReady = process !== undefined && gate !== undefined && reader !== undefined;
  if (!isReady || clock === undefined) return forever();
  if (body.kind === "command") {
    const { command, answeredBelow } = body;
    const request = body.request === undefined ? undefined : { ...body.request, answeredBelow };
    const proposal = encodeProposal({ at: clock.wallMs(), request, command });
    return { kind: "reply", reply: decodeReply(await process.propose(proposal)) };
  }
  for (;;) {
    const view = await gate.open(body.consistency);
    const at = member.applied;
    member.record(() => `is read at ${at}, ${body.consistency}, age ${view.ageMs}`);
    const answer = await body.look(reader);
    const readMs = member.nowMs;
    // Reading takes its time, and a process may stand still in the middle of it.
    await member.dawdle();
    if (view.holds()) return { kind: "found", answer, at, readMs, ageMs: view.ageMs };
  }
}

function forever(): Promise<never> {
  return new Promise(() => {});
}
