//! runit: `sv`, Debian's and busybox's.

use super::{Action, ServiceDir, clock};

/// `state` asks for the state: `$is` is `run`, `down`, `finish`, `fail`, `warning`, `$more` the rest of the service's
/// own part of the line. `supervised` tells whether a `runsv` looks after it.
const STATE: &str = "\
state() {
s=$(sv status \"$d\" 2>&1)
s=${s%%; *}
is=${s%%: *}
more=${s#*\"$d\"}
}
supervised() {
case $more in *'not exist'*|*'No such file'*|*'runsv not running'*) return 1 ;; esac
return 0
}
";

pub(super) fn script(dir: &ServiceDir, action: Action, timeout: u32) -> String {
    let find = dir.find();
    // A runsvdir takes up to 5 s to notice a new service directory.
    let present = format!(
        "[ -n \"$d\" ] || {{ absent >&2; exit 1; }}\n\
         {}\
         state\n\
         until supervised; do\n\
         if late; then echo \"no runsv looks after it: $s\" >&2; exit 1; fi\n\
         moment\n\
         state\n\
         done\n",
        clock(timeout.min(10))
    );
    let rest = match action {
        Action::Start => format!(
            "{present}\
             case $is in\n\
             run) case $more in *'want down'*) ;; *) echo \"$s\"; exit 80 ;; esac ;;\n\
             esac\n\
             sv -w {timeout} start \"$d\"\n"
        ),
        // Not `sv restart`: it compares whole seconds, and so believes that a service which began within this second is the
        // one that it began.
        Action::Restart => format!(
            "{present}\
             sv -w {timeout} stop \"$d\" && sv -w {timeout} start \"$d\"\n"
        ),
        Action::Stop => format!(
            "[ -n \"$d\" ] || {{ absent; echo \"nothing to stop\"; exit 80; }}\n\
             state\n\
             supervised || {{ echo \"nothing to stop: $s\"; exit 80; }}\n\
             case $is in\n\
             down) case $more in *'want up'*) ;; *) echo \"$s\"; exit 80 ;; esac ;;\n\
             esac\n\
             sv -w {timeout} stop \"$d\"\n"
        ),
        Action::Reload => format!(
            "{present}\
             [ \"$is\" = run ] || {{ echo \"it does not run: $s\" >&2; exit 1; }}\n\
             sv -w {timeout} reload \"$d\"\n"
        ),
        Action::Status => "[ -n \"$d\" ] || { absent >&2; exit 1; }\n\
             state\n\
             case $is in run|down|finish) echo \"$s\"; exit 80 ;; esac\n\
             echo \"$s\" >&2\n\
             exit 1\n"
            .to_owned(),
    };
    format!("{find}{STATE}{rest}")
}
