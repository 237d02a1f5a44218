/** Every field name that a log line may carry. */
export interface LogFields {
  readonly node?: string;
  readonly component?: string;
  readonly term?: number;
  readonly index?: number;
  readonly peer?: string;
  readonly server?: number;
  readonly job?: number;
  readonly chunk?: number;
  readonly epoch?: number;
  readonly path?: string;
  readonly address?: string;
  readonly bytes?: number;
  readonly count?: number;
  readonly duration_ms?: number;
  readonly code?: string;
  readonly error?: unknown;
  readonly trace?: string;
}

/** `error`: someone must act. `warn`: degraded, healing. `info`: a state change. */
export interface Logger {
  error(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  child(fields: LogFields): Logger;
}

export const SILENT_LOGGER: Logger = {
  error() {},
  warn() {},
  info() {},
  debug() {},
  child: () => SILENT_LOGGER,
};
