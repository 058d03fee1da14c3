import type { Call } from "../api/model";

/** An answered incoming call without a recording, for tests. */
export function callWith(changes: Partial<Call> = {}): Call {
  return {
    id: "pbx-1",
    pbx: "pbx",
    linkedid: "1",
    domain: "acme",
    direction: "in",
    src: "79130000001",
    src_name: "",
    dst: "73912000000",
    number: "73912000000",
    started_at: "2017-02-14T09:00:00.000+07:00",
    answered_at: "2017-02-14T09:00:10.000+07:00",
    ended_at: "2017-02-14T09:01:00.000+07:00",
    called_back_at: null,
    trunk: null,
    queue: null,
    wait_s: null,
    quality: null,
    duration_s: 60,
    talk_s: 50,
    result: "answered",
    answered_by: "421",
    employee: null,
    live: null,
    recording: {
      state: "none",
      reason: null,
      duration_ms: null,
      held: false,
      expires_at: null,
      speech: null,
      segments: [],
    },
    ...changes,
  };
}
