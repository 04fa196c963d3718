// The same story as story.py tells, for the programs on Node.
import { createRequire } from 'node:module';

export const MODEL = 'gpt-4o-mini';
export const SYSTEM = 'You are the order desk of a small shop. Look orders up before you speak about them.';
export const SESSIONS = [
  ['desk-ada-1', 'ada@example.com', [
    'Hello, I am Ada.', 'Where is my order A-1001?', 'This message is far too long for you.']],
  ['desk-grace-2', 'grace@example.com', ['Please look up order B-9999.']],
];
const ORDERS = { 'A-1001': 'shipped on Monday, arrives on Thursday', 'A-1002': 'being packed' };

export function getOrder(id) {
  if (!(id in ORDERS)) throw new Error(`there is no order ${id}`);
  return `Order ${id} is ${ORDERS[id]}.`;
}

export function log(session, user, said, answer) {
  process.stdout.write(`TURN ${JSON.stringify({ session_id: session, user_id: user, input: said, output: answer })}\n`);
}

export function major(name) {
  return Number(createRequire(import.meta.url)(`./node_modules/${name}/package.json`).version.split('.')[0]);
}
