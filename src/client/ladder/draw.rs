//! Draws the ladder: header, asks above bids with bars for the sizes, trades at the right.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::model::{Ladder, Row, Trade};

/// Columns of the trade list, its border included.
const TRADES_WIDTH: u16 = 42;
/// Narrowest terminal that still has room for the trade list.
const WIDE: u16 = 84;
/// Columns of a price or a size.
const NUMBER_WIDTH: usize = 14;

pub(super) fn draw(ladder: &Ladder, frame: &mut Frame<'_>) {
    let [header, body, footer] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(0), Constraint::Length(1)]).areas(frame.area());
    frame.render_widget(Paragraph::new(vec![title(ladder), state(ladder)]), header);
    frame.render_widget(Paragraph::new(figures(ladder)).style(Style::new().fg(Color::DarkGray)), footer);
    if body.width < WIDE {
        return levels(ladder, frame, body);
    }
    let [left, right] = Layout::horizontal([Constraint::Min(0), Constraint::Length(TRADES_WIDTH)]).areas(body);
    levels(ladder, frame, left);
    let list = Block::new().borders(Borders::LEFT).title(" last trades ");
    let lines = ladder.trades.iter().take(usize::from(right.height)).map(trade);
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()).block(list), right);
}

fn title(ladder: &Ladder) -> Line<'_> {
    Line::from(Span::styled(ladder.title(), Style::new().add_modifier(Modifier::BOLD)))
}

fn state(ladder: &Ladder) -> Line<'_> {
    if let Some(reason) = &ladder.disconnected {
        let style = Style::new().fg(Color::Red).add_modifier(Modifier::BOLD);
        return Line::from(vec![Span::styled("not connected", style), Span::raw(format!("  {reason}"))]);
    }
    let color = match ladder.state.word.as_str() {
        "live" => Color::Green,
        "waiting" | "syncing" => Color::Yellow,
        _ => Color::Red,
    };
    let style = Style::new().fg(color).add_modifier(Modifier::BOLD);
    Line::from(vec![Span::styled(&*ladder.state.word, style), Span::raw(format!("  {}", ladder.state.why))])
}

fn figures(ladder: &Ladder) -> String {
    let counts = ladder.counts();
    let mut text = format!(
        "{:.0} frames/s  {:.1} kB/s  {} gaps ({} missing)",
        ladder.rates.frames_per_second,
        ladder.rates.bytes_per_second / 1e3,
        counts.gaps,
        counts.missing,
    );
    if counts.restarts > 0 {
        text.push_str(&format!("  {} restarts", counts.restarts));
    }
    if ladder.undecodable > 0 {
        text.push_str(&format!("  {} undecodable", ladder.undecodable));
    }
    text + "  q quits"
}

/// Asks with the best at the bottom, the spread, bids with the best at the top.
fn levels(ladder: &Ladder, frame: &mut Frame<'_>, area: Rect) {
    let each = usize::from(area.height.saturating_sub(1) / 2);
    let asks: Vec<&Row> = ladder.asks.iter().take(each).collect();
    let bids: Vec<&Row> = ladder.bids.iter().take(each).collect();
    let largest = asks.iter().chain(&bids).map(|row| row.weight).fold(0.0, f64::max);
    let bar_width = usize::from(area.width).saturating_sub(2 * NUMBER_WIDTH + 3);
    let cells = |row: &Row| bar_cells(row.weight, largest, bar_width);
    let mut lines: Vec<Line<'_>> = vec![Line::default(); each - asks.len()];
    lines.extend(asks.iter().rev().map(|row| level(row, Color::Red, cells(row))));
    lines.push(Line::from(format!("{:>NUMBER_WIDTH$} spread", ladder.spread)));
    lines.extend(bids.iter().map(|row| level(row, Color::Green, cells(row))));
    // A book that is not live is shown pale: it is the last that was known, not what is.
    let style = if ladder.is_live() { Style::new() } else { Style::new().add_modifier(Modifier::DIM) };
    frame.render_widget(Paragraph::new(lines).style(style), area);
}

fn level(row: &Row, color: Color, cells: usize) -> Line<'_> {
    Line::from(vec![
        Span::styled(format!("{:>NUMBER_WIDTH$} ", row.price), Style::new().fg(color)),
        Span::raw(format!("{:>NUMBER_WIDTH$} ", row.size)),
        Span::styled("█".repeat(cells), Style::new().fg(color)),
    ])
}

/// The bar's length; any size above zero has at least one cell.
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "0..=width")]
fn bar_cells(weight: f64, largest: f64, width: usize) -> usize {
    if weight <= 0.0 || largest <= 0.0 {
        return 0;
    }
    ((weight / largest * width as f64).round() as usize).clamp(1, width.max(1))
}

fn trade(trade: &Trade) -> Line<'_> {
    let color = match trade.side.as_str() {
        "buy" => Color::Green,
        "sell" => Color::Red,
        _ => Color::Gray,
    };
    let text = format!("{} {:>NUMBER_WIDTH$} {}", trade.time, trade.price, trade.size);
    Line::from(Span::styled(text, Style::new().fg(color)))
}
