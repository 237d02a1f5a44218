import test from "ava";
import { type DescribedSetting, programHelp, wrongFlags } from "./program-help.js";

const setting = (description: string, success: boolean, data?: unknown): DescribedSetting => ({
  description,
  safeParse: () => ({ success, data }),
});

test("help names each setting with its flag, default and name in the environment", (t) => {
  const text = programHelp({
    about: "A server.",
    settings: {
      dir: setting("Folder of the store.", false),
      listenData: setting("Where it listens.", true, "127.0.0.1:7410"),
      labels: setting("Where it stands.", true, {}),
      advertise: setting("Where others find it.", true),
    },
    flagOf: (name) => (name === "listenData" ? "listen-data" : name),
    environmentPrefix: "LUMEO_X_",
    notInEnvironment: new Set(["labels"]),
  });
  t.regex(text, /--dir VALUE\n +Folder of the store\.\n +Needed\. Environment: LUMEO_X_DIR\.\n/);
  t.regex(text, /--listen-data VALUE\n.*\n +Default: 127\.0\.0\.1:7410\. .*LUMEO_X_LISTEN_DATA\./);
  t.regex(text, /--labels VALUE\n.*\n +Default: none\.\n/);
  t.regex(text, /--advertise VALUE\n.*\n +Environment: LUMEO_X_ADVERTISE\.\n/);
  t.regex(text, /--config FILE\n.*dir, listenData, labels, advertise\./);
});

test("whoever gives a wrong flag is told how to see the right ones", (t) => {
  const error = wrongFlags(new Error("Unknown option '--colour'"));
  t.is(error.code, "INVALID_ARGUMENT");
  t.is(error.message, "Cannot use the flags: Unknown option '--colour'; --help lists them");
});
