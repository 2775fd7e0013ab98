//! What comes of something said to others that need not arrive: a metric, a notification.

use windlass_engine::command::Turn;
use windlass_model::Text;
use windlass_model::outcome::Outcome;
use windlass_model::step::{Level, Say, Step};

/// Whether it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It did.
    Arrived,
    /// It did not; the text says why.
    Lost(String),
}

/// The turn after it was sent. What is lost is a failure, or, where it may be, a warning and then the end.
pub fn after(delivery: Delivery, may_be_lost: bool, warned: bool) -> Turn {
    match delivery {
        Delivery::Arrived => Outcome::Changed.into(),
        Delivery::Lost(why) if !may_be_lost => Outcome::failed(why).into(),
        Delivery::Lost(why) if warned => Outcome::Skipped(why).into(),
        Delivery::Lost(why) => Turn::Last(vec![Step::Log(Say {
            level: Level::Warning,
            message: Text::plain(why),
        })]),
    }
}
