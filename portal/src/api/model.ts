import type { components, operations } from "./schema";

/** The types of the API's description, under the portal's names. */
type Shapes = components["schemas"];

export type Action = Shapes["Action"];
export type AuditEntry = AuditPage["items"][number];
export type AuditPage = Shapes["Audit"];
export type Call = CallPage["items"][number];
export type CallWithPath = Shapes["CallWithPath"];
export type CallPage = Shapes["Calls"];
export type CallQuery = NonNullable<operations["listCalls"]["parameters"]["query"]>;
export type CompanyNumber = Shapes["Number"];
export type Direction = Shapes["Direction"];
export type Kind = Shapes["Kind"];
export type LiveCalls = Shapes["LiveCalls"];
export type Me = Shapes["Me"];
export type PathStep = CallWithPath["path"][number];
export type Peaks = Shapes["Peaks"];
export type Portal = Shapes["Portal"];
export type Quality = Shapes["Quality"];
export type Reason = Shapes["Reason"];
export type Recording = Call["recording"];
export type RecordRule = Shapes["RecordRule"];
export type Result = Shapes["Result"];
export type Session = Shapes["Session"];
export type Subject = Shapes["Subject"];
export type SubjectErased = Shapes["SubjectErased"];
export type Sort = Shapes["Sort"];
export type SupportRequest = Shapes["SupportRequest"];
export type User = operations["listUsers"]["responses"][200]["content"]["application/json"][number];

/** A message of `/api/live`. */
export type LiveMessage =
  Shapes["LiveCall"] | Shapes["LiveRecording"] | Shapes["LiveGone"] | Shapes["LiveResync"];
