//! systemd: `systemctl`, without options that came after systemd 200.

use super::{Action, clock};
use crate::sh::quote;

pub(super) fn script(unit: &str, action: Action, timeout: u32) -> String {
    let unit = quote(unit);
    let verb = action.verb();
    let ask = format!(
        "timeout {timeout} systemctl {verb} {unit}\n\
         ended=$?\n\
         [ $ended != 124 ] || echo {unit} \"did not {verb} within {timeout} s\" >&2\n\
         [ $ended = 0 ] || exit $ended\n"
    );
    match action {
        Action::Start => format!(
            "if [ \"$(systemctl is-active {unit} 2>/dev/null)\" = active ]; then exit 80; fi\n{}{ask}{}",
            clock(timeout),
            until_active(&unit)
        ),
        Action::Restart => format!("{}{ask}{}", clock(timeout), until_active(&unit)),
        // A unit that is not there is `inactive` or `unknown`: nothing to stop.
        Action::Stop => format!(
            "down() {{\n\
             state=$(systemctl is-active {unit})\n\
             case $state in inactive|failed|unknown) return 0 ;; esac\n\
             return 1\n\
             }}\n\
             if down; then echo {unit} \"is $state: nothing to stop\"; exit 80; fi\n\
             {ask}\
             down || {{ echo {unit} \"is $state after its stop\" >&2; exit 1; }}\n"
        ),
        Action::Reload => ask,
        // LSB: 0 runs, 3 does not.
        Action::Status => format!(
            "systemctl status --no-pager -n 0 {unit}\n\
             ended=$?\n\
             case $ended in 0|3) exit 80 ;; esac\n\
             exit $ended\n"
        ),
    }
}

/// A start that systemd calls done may be one of a program that dies at once.
fn until_active(unit: &str) -> String {
    format!(
        "while :; do\n\
         state=$(systemctl is-active {unit})\n\
         case $state in\n\
         active|reloading) exit 0 ;;\n\
         inactive) case $(systemctl show -p Type {unit}) in *=oneshot) exit 0 ;; esac; break ;;\n\
         activating|deactivating) ! late || break ;;\n\
         *) break ;;\n\
         esac\n\
         moment\n\
         done\n\
         echo {unit} \"is $state after its start\" >&2\n\
         exit 1\n"
    )
}
