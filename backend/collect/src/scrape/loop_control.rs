//! How a pool steers the loops of its targets.

use model::Labels;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What a loop is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    /// Scrape.
    Run,
    /// The target is gone: finish the scrape at hand, then end its series with staleness markers unless it
    /// comes back.
    Remove,
    /// Another loop goes on with this target: finish the scrape at hand and hand over the live series.
    Replace,
    /// The program stops: end at once, without staleness markers.
    Stop,
}

/// A loop that runs, or is ending.
#[derive(Debug)]
pub(crate) struct LoopHandle {
    pub(crate) control: watch::Sender<Control>,
    /// Yields the series that were live when the loop ended.
    pub(crate) task: JoinHandle<Vec<Labels>>,
}

impl LoopHandle {
    pub(crate) fn tell(&self, control: Control) {
        self.control.send_replace(control);
    }
}

/// Waits for an order that satisfies `wanted`. Where nobody can give orders any more, that means to stop.
pub(crate) async fn wait_for_order(
    orders: &mut watch::Receiver<Control>,
    mut wanted: impl FnMut(Control) -> bool,
) -> Control {
    orders.wait_for(|order| wanted(*order)).await.map_or(Control::Stop, |order| *order)
}
