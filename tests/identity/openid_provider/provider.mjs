// An OpenID provider for the tests: node provider.mjs PORT KEYS_FILE. It gives clients access tokens for themselves.
import { readFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const [port, keysFile] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const tenants = { 'agent-of-acme': 'acme', 'agent-of-zeta': 'zeta', 'agent-of-nobody': undefined };

const scopes = 'turns:resume graphs:read graphs:write graphs:admin';

const provider = new Provider(issuer, {
  jwks: JSON.parse(readFileSync(keysFile, 'utf8')),
  clients: Object.keys(tenants).map((client_id) => ({
    client_id,
    client_secret: 'of-a-test',
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
  })),
  clientDefaults: { id_token_signed_response_alg: 'ES256' },
  cookies: { keys: ['of-a-test'] },
  scopes: scopes.split(' '),
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_context, resource) => ({
        scope: scopes,
        audience: resource.replace('https://', ''),
        accessTokenFormat: 'jwt',
        accessTokenTTL: 300,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  extraTokenClaims: (_context, token) => ({ tenant: tenants[token.clientId], roles: ['staff'] }),
});

provider.listen(Number(port), '127.0.0.1', () => console.log('ready'));
