//! Lines of the plugin protocol: a message that is taken is one line that is taken as the same; one that is not can be shown.

use windlass_plugin::Description;
use windlass_plugin::message::{Message, shown};

/// See the module.
pub fn check(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        let told = shown(line);
        assert!(!told.chars().any(char::is_control), "{told:?}");
        let Ok(message) = Message::parse(line) else {
            continue;
        };
        let written = message.line();
        let (last, rest) = written.split_last().expect("a line");
        assert!(*last == b'\n' && !rest.contains(&b'\n'));
        assert_eq!(Message::parse(rest), Ok(message.clone()));
        if let Message::Answer {
            result: Ok(value), ..
        } = message
        {
            // what is no description is an error, not an end
            let _ = serde_json::from_value::<Description>(value);
        }
    }
}
