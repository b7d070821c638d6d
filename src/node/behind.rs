//! Whether the application keeps up with what comes.

use crate::base::Unread;

use super::Node;

impl Node {
    /// The links that are not read now, because the application has not taken what came before: their peers wait. `None` if there are
    /// none. [`Event::ApplicationBehind`](crate::Event::ApplicationBehind) tells it once the application reads again.
    pub fn unread(&self) -> Option<Unread> {
        let shell = self.shell().ok()?;
        shell.behind.unread(shell.now())
    }
}
