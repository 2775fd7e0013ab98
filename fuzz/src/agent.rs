//! What agents and managers say to each other: what is taken is written so that it is taken as the same.

use windlass_wire::agent::{
    Finish, Held, LogHas, Poll, Polled, Probed, Register, Registered, Start,
};

/// See the module.
pub fn check(data: &[u8]) {
    let Some((first, rest)) = data.split_first() else {
        return;
    };
    match first {
        b'0' => crate::json_stays::<Register>(rest),
        b'1' => crate::json_stays::<Registered>(rest),
        b'2' => crate::json_stays::<Poll>(rest),
        b'3' => crate::json_stays::<Polled>(rest),
        b'4' => crate::json_stays::<Start>(rest),
        b'5' => crate::json_stays::<Finish>(rest),
        b'6' => crate::json_stays::<Probed>(rest),
        b'7' => crate::json_stays::<LogHas>(rest),
        _ => crate::json_stays::<Held>(rest),
    }
}
