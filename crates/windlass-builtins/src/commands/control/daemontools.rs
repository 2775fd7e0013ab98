//! daemontools: `svc` asks, `svstat` tells.

use super::{Action, ServiceDir, clock};

/// `state` asks for the state: `$s` is the line of `svstat` without the directory, `up (pid 7) 3 seconds, want down`. For
/// a second after a start supervise hears nothing, and the state is the old one.
/// `waits S WHAT` waits until the state begins with S, or fails.
const STATE: &str = "\
state() { s=$(svstat \"$d\" 2>&1); s=${s#\"$d: \"}; }
supervised() {
case $s in *'not exist'*|*'No such file'*|'supervise not running'*) return 1 ;; esac
return 0
}
known() {
case $s in 'up '*|'down '*) return 0 ;; esac
echo \"$d: $s\" >&2
exit 1
}
waits() {
until case $s in \"$1\"*) true ;; *) false ;; esac; do
if late; then echo \"$2: $s\" >&2; exit 1; fi
moment
state
done
}
";

pub(super) fn script(dir: &ServiceDir, action: Action, timeout: u32) -> String {
    let find = dir.find();
    let clock = clock(timeout);
    // An svscan takes up to 5 s to notice a new service directory.
    let present = format!(
        "[ -n \"$d\" ] || {{ absent >&2; exit 1; }}\n\
         {clock}\
         state\n\
         until supervised; do\n\
         if late; then echo \"no supervise looks after it: $s\" >&2; exit 1; fi\n\
         moment\n\
         state\n\
         done\n\
         known\n"
    );
    let rest = match action {
        Action::Start => format!(
            "{present}\
             case $s in *'want down'*) ;; 'up '*) echo \"$s\"; exit 80 ;; esac\n\
             svc -u \"$d\" || exit 1\n\
             state\n\
             waits 'up ' 'it did not start within {timeout} s'\n"
        ),
        Action::Restart => format!(
            "{present}\
             pid() {{ p=${{s#*pid }}; p=${{p%%)*}}; }}\n\
             case $s in 'up '*) pid; old=$p ;; *) old= ;; esac\n\
             svc -tcu \"$d\" || exit 1\n\
             state\n\
             while :; do\n\
             pid\n\
             case $s in 'up '*) [ \"$p\" = \"$old\" ] || exit 0 ;; esac\n\
             if late; then echo \"it did not restart within {timeout} s: $s\" >&2; exit 1; fi\n\
             moment\n\
             state\n\
             done\n"
        ),
        Action::Stop => format!(
            "[ -n \"$d\" ] || {{ absent; echo \"nothing to stop\"; exit 80; }}\n\
             {clock}\
             state\n\
             supervised || {{ echo \"nothing to stop: $s\"; exit 80; }}\n\
             known\n\
             case $s in\n\
             *'want up'*) ;;\n\
             'down '*) echo \"$s\"; exit 80 ;;\n\
             esac\n\
             svc -d \"$d\" || exit 1\n\
             state\n\
             waits 'down ' 'it did not stop within {timeout} s'\n"
        ),
        Action::Reload => format!(
            "{present}\
             case $s in 'up '*) ;; *) echo \"it does not run: $s\" >&2; exit 1 ;; esac\n\
             svc -h \"$d\"\n"
        ),
        Action::Status => "[ -n \"$d\" ] || { absent >&2; exit 1; }\n\
             state\n\
             known\n\
             echo \"$d: $s\"\n\
             exit 80\n"
            .to_owned(),
    };
    format!("{find}{STATE}{rest}")
}
