//! What is kept is removed once it is known elsewhere.

use super::PLACES;

/// The program that removes what a run kept, and what other runs did not come back for in 30 days. It starts no process for what
/// is not there.
pub(crate) fn forget(directory: &str) -> String {
    format!(
        r#": windlass-forget {directory}
{PLACES}w_clean() {{
[ ! -d "$1/{directory}" ] || rm -rf -- "$1/{directory}"
for w_f in "$1"/*; do
[ ! -d "$w_f" ] || find "$1" -mindepth 1 -maxdepth 1 -type d -mtime +30 -exec rm -rf -- {{}} + 2>/dev/null
break
done
}}
[ -z "$w_h" ] || w_clean "$w_h"
w_other && w_clean "$w_o"
exit 0
"#
    )
}
