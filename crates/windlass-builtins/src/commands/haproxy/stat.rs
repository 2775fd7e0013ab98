//! What HAProxy says of a server.

use std::fmt;

/// A server's line of `show stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStat {
    /// `UP`, `UP 1/2`, `DOWN`, `DRAIN`, `MAINT`, `no check`, ...
    pub status: String,
    /// Sessions that it has, and requests that wait for it.
    pub sessions: u64,
    /// How its last check ended: `L4CON`; empty where it is not checked.
    pub check: String,
}

impl ServerStat {
    /// Whether it gets no new sessions because somebody said so.
    pub fn is_set_aside(&self) -> bool {
        ["DRAIN", "MAINT"]
            .iter()
            .any(|word| self.status.starts_with(word))
    }

    /// Whether it gets sessions, its checks all passed or none made.
    pub fn is_ready(&self) -> bool {
        self.status == "UP" || self.status == "no check"
    }

    /// Whether it gets sessions, though a check may have failed or not been made yet.
    pub fn is_up(&self) -> bool {
        self.is_ready() || self.status.starts_with("UP ")
    }
}

impl fmt::Display for ServerStat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.status)?;
        if !self.check.is_empty() {
            write!(f, " (its last check: {})", self.check)?;
        }
        Ok(())
    }
}

/// The server's line in an answer to `show stat`, perhaps after that to `set server`. The error is what HAProxy said
/// instead, with what to do.
pub(super) fn read(answer: &str, backend: &str, server: &str) -> Result<ServerStat, String> {
    let (before, table) = match answer.split_once("# pxname,") {
        Some((before, table)) => (before, format!("pxname,{table}")),
        None => (answer, String::new()),
    };
    let mut rows = table.lines();
    let columns: Vec<&str> = rows.next().unwrap_or("").split(',').collect();
    let cell = |row: &str, name: &str| -> Option<String> {
        let index = columns.iter().position(|column| *column == name)?;
        row.split(',').nth(index).map(str::to_owned)
    };
    let of_backend: Vec<&str> = rows
        .filter(|row| cell(row, "pxname").as_deref() == Some(backend))
        .collect();
    let said = before.trim();
    if !said.is_empty() {
        return Err(with_hint(said, backend, server));
    }
    let Some(row) = of_backend
        .iter()
        .find(|row| cell(row, "svname").as_deref() == Some(server))
    else {
        if table.is_empty() {
            return Err("it answered nothing".to_owned());
        }
        let names: Vec<String> = of_backend
            .iter()
            .filter_map(|row| cell(row, "svname"))
            .collect();
        return Err(format!(
            "no such server; `{backend}` has {}",
            listed(&names)
        ));
    };
    let number = |name: &str| {
        let text = cell(row, name).unwrap_or_default();
        if text.is_empty() {
            return Ok(0);
        }
        text.parse::<u64>()
            .map_err(|_| format!("`{text}` in the column `{name}`, which is no number"))
    };
    Ok(ServerStat {
        status: cell(row, "status").ok_or("no column `status`")?,
        sessions: number("scur")?.saturating_add(number("qcur")?),
        // `* L4CON`: another check is under way.
        check: cell(row, "check_status")
            .unwrap_or_default()
            .trim_start_matches("* ")
            .to_owned(),
    })
}

fn listed(names: &[String]) -> String {
    const MOST: usize = 8;
    let shown = names.iter().take(MOST).cloned().collect::<Vec<_>>();
    match names.len() {
        0 => "no servers".to_owned(),
        n if n > MOST => format!("{}, ... ({n})", shown.join(", ")),
        _ => shown.join(", "),
    }
}

fn with_hint(said: &str, backend: &str, server: &str) -> String {
    let line = said.lines().next().unwrap_or(said).trim();
    let hint = if line.starts_with("No such server") {
        format!("is `{server}` the name of a server in `backend {backend}`?")
    } else if line.starts_with("No such backend") || line.starts_with("No such proxy") {
        format!("is there a `backend {backend}` in HAProxy's configuration?")
    } else if line.starts_with("Permission denied") {
        "its `stats socket` needs `level admin`".to_owned()
    } else {
        return line.to_owned();
    };
    format!("{line} ({hint})")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# pxname,svname,qcur,qmax,scur,status,check_status,last_chk,\n\
        web,app1,0,0,3,UP 1/2,L4OK,\"a, b\",\n\
        web,app2,,0,0,no check,,,\n\
        other,app3,0,0,0,DOWN,* L4CON,,\n\n";

    #[test]
    fn columns_are_found_by_name() {
        let app1 = read(TABLE, "web", "app1").unwrap();
        assert_eq!((app1.status.as_str(), app1.sessions), ("UP 1/2", 3));
        assert!(app1.is_up() && !app1.is_ready());
        assert_eq!(app1.to_string(), "`UP 1/2` (its last check: L4OK)");
        // a check that is under way is not part of how the last one ended
        assert_eq!(read(TABLE, "other", "app3").unwrap().check, "L4CON");
        assert!(
            read(&format!("\n{TABLE}"), "web", "app2")
                .unwrap()
                .is_ready()
        );
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |answer: &str, server| read(answer, "web", server).unwrap_err();
        assert_eq!(said(TABLE, "app3"), "no such server; `web` has app1, app2");
        assert!(said("No such proxy.\n\n", "a").contains("backend web"));
        assert!(
            said(&format!("No such server.\n\n{TABLE}"), "app1").contains("No such server. (is")
        );
        assert!(said("Permission denied\n", "a").contains("level admin"));
        assert_eq!(said("", "a"), "it answered nothing");
        assert_eq!(said("Unknown command.\nmore", "a"), "Unknown command.");
    }
}
