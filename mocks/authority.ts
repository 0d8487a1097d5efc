/** A certificate authority: makes keys, and issues X.509 certificates laid out like those of Thredd's CA. */
import { randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'

const CERTIFICATE_POLICY = '1.3.6.1.4.1.56623.113.1.2'

export interface CertifiedKey {
  /** PEM */
  readonly certificate: string
  /** PKCS#8 PEM */
  readonly key: string
}

/** The extended key usage: clientAuth, serverAuth, or none, which allows any use. */
type Use = 'client' | 'server' | 'any'

interface CertificateRequest {
  /** as in RFC 4514 but read from left to right: `C=GB, O=thredd` */
  readonly subject: string
  readonly use: Use
  readonly notBefore: Date
  readonly notAfter: Date
  /** subject alternative names, host names or IP addresses */
  readonly hosts?: readonly string[]
  /** hexadecimal; random by default */
  readonly serial?: string
  /** default: the authority's own name; another one for a certificate that only claims to be of that issuer */
  readonly issuer?: string
}

export interface Authority extends CertifiedKey {
  issue(request: CertificateRequest): Promise<CertifiedKey>
}

/** A new root CA: for `ensurePki`, and for tests that need certificates with faults. */
export async function createAuthority(name: string, notBefore: Date, notAfter: Date): Promise<Authority> {
  const x509 = await loadX509()
  const keys = await newKeys()
  const root = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    name,
    notBefore,
    notAfter,
    signingAlgorithm: RSA,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  })
  const usage =
    x509.KeyUsageFlags.digitalSignature |
    x509.KeyUsageFlags.keyEncipherment |
    x509.KeyUsageFlags.dataEncipherment |
    x509.KeyUsageFlags.keyAgreement
  return {
    certificate: `${root.toString('pem')}\n`,
    key: await toPem(keys.privateKey),
    async issue(request) {
      const own = await newKeys()
      // No OCSP or CRL address, though the documented certificate has both: nothing would answer offline, and a client
      // that checks them must not call the real ones. No key identifiers, so that "clone" differs in its key only.
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: request.serial ?? newSerial(),
        subject: request.subject,
        issuer: request.issuer ?? name,
        notBefore: request.notBefore,
        notAfter: request.notAfter,
        signingAlgorithm: RSA,
        publicKey: own.publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(usage, true),
          new x509.CertificatePolicyExtension([CERTIFICATE_POLICY]),
          ...(request.use === 'any' ? [] : [new x509.ExtendedKeyUsageExtension([EXTENDED_KEY_USAGE[request.use]])]),
          ...(request.hosts === undefined
            ? []
            : [
                new x509.SubjectAlternativeNameExtension(
                  request.hosts.map((host) => ({ type: isIP(host) === 0 ? 'dns' : 'ip', value: host })),
                ),
              ]),
        ],
      })
      return { certificate: `${certificate.toString('pem')}\n`, key: await toPem(own.privateKey) }
    },
  }
}

const RSA = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' }
const EXTENDED_KEY_USAGE = { client: '1.3.6.1.5.5.7.3.2', server: '1.3.6.1.5.5.7.3.1' }

export function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  const parameters = { ...RSA, modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }
  return webcrypto.subtle.generateKey(parameters, true, ['sign', 'verify'])
}

export async function toPem(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  const lines = der.toString('base64').match(/.{1,64}/g) ?? []
  return `-----BEGIN PRIVATE KEY-----\n${lines.join('\n')}\n-----END PRIVATE KEY-----\n`
}

/** Positive and without a leading zero byte, so that all tools print it in the same way. */
export function newSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

/**
 * Importing the library fails without a metadata polyfill of Reflect, though nothing in it reads metadata. An empty polyfill is
 * present during the import and removed afterwards. Loaded on demand, since a run with an existing PKI does not need it.
 */
async function loadX509(): Promise<typeof import('@peculiar/x509')> {
  loading ??= (async () => {
    if ('getMetadata' in Reflect) return await import('@peculiar/x509')
    const nothing = () => undefined
    const polyfill = { getMetadata: nothing, getOwnMetadata: nothing, defineMetadata: nothing, hasOwnMetadata: nothing }
    Object.assign(Reflect, polyfill)
    try {
      return await import('@peculiar/x509')
    } finally {
      for (const name of Object.keys(polyfill)) Reflect.deleteProperty(Reflect, name)
    }
  })()
  return await loading
}

let loading: Promise<typeof import('@peculiar/x509')> | undefined
