/**
 * The Chromium of the system, and the example's page in it. Where there is none the tests that need it are skipped, with a word; under
 * CI that is a failure, as in test/shared.ts.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser } from 'playwright-core';
import { describe, test } from 'vitest';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const executablePath = process.env['CHROMIUM'] ?? PLACES.find((path) => existsSync(path));

if (executablePath === undefined) {
  const message = `Chromium: expected it at ${PLACES.join(', ')} or where CHROMIUM says, got nothing.`;
  if (process.env['CI']) throw new Error(`${message} Under CI the tests that need it may not be skipped: .ci/browser installs it.`);
  console.warn(`${message} The tests that need it are skipped.`);
}

/** A suite that needs Chromium: one skipped line that says so where there is none. */
export function withChromium(name: string, suite: () => void): void {
  if (executablePath !== undefined) describe(name, suite);
  else test.skip(`${name} (skipped: no Chromium)`);
}

export async function launch(): Promise<Browser> {
  // Its sandbox refuses to run as root, which is who runs in a container.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  return chromium.launch({ executablePath: executablePath!, args });
}

/** A directory for this run, and what removes it. */
export function temporaryDirectory(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'lors-browser-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
