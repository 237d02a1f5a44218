// The contracts of protos/ as code: message classes by package, and gRPC service definitions.
export { lumeo } from "#messages";
export { encodedInParts } from "./encoded.js";
export {
  AdminService,
  AuditService,
  BackupService,
  ChunkService,
  ControlService,
  FleetService,
  HealingService,
  IntegrityService,
  NamespaceService,
  RaftService,
  TailOrderService,
  TailService,
} from "./services.js";
